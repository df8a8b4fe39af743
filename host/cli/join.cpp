#include <filesystem>
#include <memory>

#include "command.hpp"
#include "dataset_summary.hpp"
#include "negpipe/dataset.hpp"

namespace negpipe::cli {

namespace {

struct join_arguments {
  common_options common;
  std::filesystem::path shards;
  std::filesystem::path out;
  bool replace = false;
};

void run_join(const join_arguments& arguments) {
  dataset::join(arguments.shards, arguments.out, arguments.replace);
  const dataset data = dataset::load(arguments.out);
  print_outcome(arguments.common, summarize(data, arguments.out), describe(data, arguments.out));
}

}  // namespace

void add_join(CLI::App& app) {
  auto arguments = std::make_shared<join_arguments>();
  CLI::App& command = *app.add_subcommand("join", "Make a dataset of shards that another program wrote, in place");
  command.add_option("SHARDS", arguments->shards, "folder of the shards, with a shards.json; it is renamed to --out")
      ->required();
  command.add_option("--out", arguments->out, "folder of the dataset, on the same file system")->required();
  command.add_flag("--force", arguments->replace, "replace the folder if it is a dataset, or empty");
  add_common_options(command, arguments->common, "negpipe join shards --out data");
  command.callback([arguments] { run_join(*arguments); });
}

}  // namespace negpipe::cli
