#include <fmt/core.h>

#include <filesystem>
#include <memory>

#include "command.hpp"
#include "negpipe/pipeline.hpp"

namespace negpipe::cli {

namespace {

struct publish_arguments {
  common_options common;
  std::filesystem::path out;
  bool replace = false;
};

void run_publish(const publish_arguments& arguments) {
  const publish_report report = publish(arguments.out, arguments.replace);
  nlohmann::ordered_json summary = {{"published", nlohmann::ordered_json::array()},
                                    {"present", nlohmann::ordered_json::array()}};
  std::string text;
  for (const auto& folder : report.published) {
    summary["published"].push_back(folder.string());
    text += folder.string() + ": published\n";
  }
  for (const auto& folder : report.present) {
    summary["present"].push_back(folder.string());
    text += folder.string() + ": published already\n";
  }
  print_outcome(arguments.common, summary, text);
}

}  // namespace

void add_publish(CLI::App& app) {
  auto arguments = std::make_shared<publish_arguments>();
  CLI::App& command = *app.add_subcommand("publish", "Publish a run whose parts generate --part has made");
  command.add_option("OUT", arguments->out, "the --out of the parts")->required();
  command.add_flag("--force", arguments->replace,
                   "replace cycle and evaluation folders that have a ready.json, or are empty");
  add_common_options(command, arguments->common, "negpipe publish run");
  command.callback([arguments] { run_publish(*arguments); });
}

}  // namespace negpipe::cli
