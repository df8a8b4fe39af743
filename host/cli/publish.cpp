#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "command.hpp"
#include "negpipe/pipeline.hpp"

namespace negpipe::cli {

namespace {

struct publish_arguments {
  common_options common;
  std::filesystem::path out;
  bool replace = false;
  bool check = false;
};

nlohmann::ordered_json names_of(const std::vector<std::filesystem::path>& folders) {
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const auto& folder : folders) names.push_back(folder.string());
  return names;
}

std::string lines_of(const std::vector<std::filesystem::path>& folders, const char* state) {
  std::string lines;
  for (const auto& folder : folders) lines += fmt::format("{}: {}\n", folder.string(), state);
  return lines;
}

/// Ends with status 1 if something is missing.
void check(const publish_arguments& arguments) {
  const publish_report report = check_publication(arguments.out, arguments.replace);
  std::string text = lines_of(report.published, "complete") + lines_of(report.present, "published already");
  for (const std::string& part : report.missing) text += "missing: " + part + "\n";
  const nlohmann::ordered_json summary = {{"ok", report.missing.empty()},
                                          {"complete", names_of(report.published)},
                                          {"present", names_of(report.present)},
                                          {"missing", report.missing}};
  print_outcome(arguments.common, summary, text);
  if (report.missing.empty()) return;
  const std::string what = fmt::format("{} is not complete: {} missing, the first is {}", arguments.out.string(),
                                       report.missing.size(), report.missing.front());
  throw negative_outcome{arguments.common.quiet ? what : ""};
}

void run_publish(const publish_arguments& arguments) {
  if (arguments.check) return check(arguments);
  const publish_report report = publish(arguments.out, arguments.replace);
  print_outcome(arguments.common, {{"published", names_of(report.published)}, {"present", names_of(report.present)}},
                lines_of(report.published, "published") + lines_of(report.present, "published already"));
}

}  // namespace

void add_publish(CLI::App& app) {
  auto arguments = std::make_shared<publish_arguments>();
  CLI::App& command = *app.add_subcommand("publish", "Publish a run whose parts generate --part has made");
  command.add_option("OUT", arguments->out, "the --out of the parts")->required();
  command.add_flag("--force", arguments->replace,
                   "replace cycle and evaluation folders that have a ready.json, or are empty");
  command.add_flag("--check", arguments->check,
                   "publish nothing: print what is complete and what is missing; status 1 if anything is missing. "
                   "Compares names, sizes and index files; `verify --part` reads the records");
  add_common_options(command, arguments->common, "negpipe publish run");
  command.callback([arguments] { run_publish(*arguments); });
}

}  // namespace negpipe::cli
