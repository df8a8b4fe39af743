#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "command.hpp"
#include "negpipe/pipeline.hpp"
#include "part.hpp"

namespace negpipe::cli {

namespace {

struct hash_arguments {
  common_options common;
  std::filesystem::path folder;
  std::string part;
};

nlohmann::ordered_json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

void run_hash(const hash_arguments& arguments) {
  nlohmann::ordered_json summary = {{"folders", nlohmann::ordered_json::array()}};
  std::string text;
  const std::optional<run_part> part = parse_part(arguments.part);
  for (const record_hash& hash : hash_records(arguments.folder, make_control(arguments.common), part)) {
    summary["folders"].push_back({{"name", hash.name},
                                  {"batch_count", hash.batch_count},
                                  {"all_batches", text_or_null(hash.all_batches)},
                                  {"first_batch", text_or_null(hash.first_batch)}});
    if (hash.batch_count == 0) {
      text += fmt::format("{}: no batches of part {}/{}\n", hash.name, part->index, part->count);
      continue;
    }
    text += fmt::format("{}: {} batches, all {}, first {}\n", hash.name, hash.batch_count, hash.all_batches,
                        hash.first_batch);
  }
  common_options shown = arguments.common;
  shown.quiet = false;  // the hashes are the result
  print_outcome(shown, summary, text);
}

}  // namespace

void add_hash(CLI::App& app) {
  auto arguments = std::make_shared<hash_arguments>();
  CLI::App& command = *app.add_subcommand(
      "hash", "Print MD5 of users and items, of all batches and of the first, for each cycle and the evaluation data");
  command.add_option("DIR", arguments->folder, "a folder that generate wrote to")->required();
  add_part_option(command, arguments->part,
                  "hash only the record files f with f mod N = I; auto: as in generate");
  add_common_options(command, arguments->common, "negpipe hash run",
                     "print only errors, and the hashes or the object of --json");
  command.callback([arguments] { run_hash(*arguments); });
}

}  // namespace negpipe::cli
