#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "command.hpp"
#include "generation.hpp"
#include "negpipe/pipeline.hpp"
#include "part.hpp"

namespace negpipe::cli {

namespace {

struct verify_arguments {
  common_options common;
  std::filesystem::path dataset_folder;
  std::filesystem::path folder;
  verify_options options;
  std::filesystem::path weights;
  std::filesystem::path eval_weights;
  std::string part;
  std::uint64_t map_from = default_map_from_bytes;
};

nlohmann::ordered_json to_json(const verify_report& report) {
  nlohmann::ordered_json failures = nlohmann::ordered_json::array();
  for (const auto& failure : report.failures) {
    failures.push_back({{"file", failure.file}, {"message", failure.message}});
  }
  return {{"ok", report.failure_count == 0},
          {"cycle_count", report.cycle_count},
          {"has_evaluation", report.has_evaluation},
          {"file_count", report.file_count},
          {"record_count", report.record_count},
          {"point_count", report.point_count},
          {"failure_count", report.failure_count},
          {"failures", failures}};
}

std::string to_text(const verify_report& report, const std::optional<run_part>& part) {
  std::string text;
  for (const auto& failure : report.failures) text += fmt::format("{}: {}\n", failure.file, failure.message);
  if (const std::uint64_t omitted = report.failure_count - report.failures.size(); omitted > 0) {
    text += fmt::format("... and {} more\n", omitted);
  }
  const std::string folders =
      fmt::format("{} cycles{}", report.cycle_count, report.has_evaluation ? " and the evaluation data" : "");
  const std::string name = part ? fmt::format("part {}/{}", part->index, part->count) : "";
  if (report.failure_count == 0 && report.file_count == 0) {
    return text + fmt::format("verified nothing: no record file of {} belongs to {}\n", folders, name);
  }
  const std::string what = fmt::format("{}{}: {} files, {} records, {} points", part ? name + " of " : "", folders,
                                       report.file_count, report.record_count, report.point_count);
  return text + (report.failure_count == 0
                     ? fmt::format("verified {}; every guarantee {}holds\n", what, part ? "of these files " : "")
                     : fmt::format("read {}; {} failures\n", what, report.failure_count));
}

/// One line for --quiet.
std::string first_failure(const verify_report& report) {
  const auto& first = report.failures.front();
  const std::string more = report.failure_count == 1 ? "" : fmt::format(" ({} failures in all)", report.failure_count);
  return fmt::format("{}: {}{}", first.file, first.message, more);
}

void run_verify(verify_arguments& arguments) {
  arguments.options.part = parse_part(arguments.part);
  const run_control control = make_control(arguments.common);
  const dataset data = dataset::load(arguments.dataset_folder, arguments.map_from);
  verify_options options = arguments.options;
  if (!arguments.weights.empty()) options.weights = load_weights(arguments.weights);
  if (!arguments.eval_weights.empty()) options.eval_weights = load_eval_weights(arguments.eval_weights);
  const verify_report report = verify(data, arguments.folder, control, options);
  print_outcome(arguments.common, to_json(report), to_text(report, options.part));
  if (report.failure_count == 0) return;
  throw negative_outcome{arguments.common.quiet ? first_failure(report) : ""};
}

}  // namespace

void add_verify(CLI::App& app) {
  auto arguments = std::make_shared<verify_arguments>();
  CLI::App& command =
      *app.add_subcommand("verify", "Read records and check every guarantee against the dataset and the seed");
  command.add_option("DATASET", arguments->dataset_folder, "the dataset that the records were generated from")
      ->required();
  command.add_option("DIR", arguments->folder, "a folder that generate wrote to")->required();
  command
      .add_option("--device", arguments->options.device,
                  "device that recomputes the points: auto, cpu, cuda, cuda:N or cuda:all")
      ->capture_default_str();
  command
      .add_option("--bitset-budget", arguments->options.bitset_budget,
                  "memory limit of the bitsets of positives, in bytes (suffixes k, M, G)")
      ->transform(byte_count())
      ->capture_default_str();
  command.add_option("--weights", arguments->weights, "the .npy file of weights that generate was given");
  command.add_option("--eval-weights", arguments->eval_weights,
                     "the .npy file of evaluation weights that generate was given");
  add_map_option(command, arguments->map_from);
  add_part_option(command, arguments->part,
                  "check only the record files f with f mod N = I; auto: as in generate");
  add_common_options(command, arguments->common, "negpipe verify ml-1m run");
  command.callback([arguments] { run_verify(*arguments); });
}

}  // namespace negpipe::cli
