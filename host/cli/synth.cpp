#include "negpipe/synth.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "command.hpp"
#include "dataset_summary.hpp"
#include "negpipe/error.hpp"
#include "negpipe/plan.hpp"
#include "temporary_space.hpp"

namespace negpipe::cli {

namespace {

struct synth_arguments {
  common_options common;
  std::filesystem::path out;
  std::filesystem::path csv;
  std::string like;
  std::optional<std::int32_t> users;
  std::optional<std::int32_t> items;
  std::optional<std::uint64_t> interactions;
  std::optional<std::uint32_t> min_ratings;
  std::optional<std::uint64_t> seed;
  bool replace = false;
};

synth_options shape_of(const synth_arguments& arguments) {
  if (arguments.like.empty() && !(arguments.users && arguments.items && arguments.interactions)) {
    throw option_error("synth: give --users, --items and --positives, or a shape by name with --like");
  }
  synth_options options = arguments.like.empty() ? synth_options{} : synth_shape(arguments.like);
  options.users = arguments.users.value_or(options.users);
  options.items = arguments.items.value_or(options.items);
  options.interactions = arguments.interactions.value_or(options.interactions);
  options.min_ratings = arguments.min_ratings.value_or(options.min_ratings);
  return options;
}

/// Large datasets are made in an unnamed file beside the output. Returns its folder, empty for a small dataset.
std::filesystem::path spill_folder(const synth_arguments& arguments, const synth_options& options) {
  const std::uint64_t bytes = options.interactions * sizeof(std::int32_t);
  if (bytes < default_map_from_bytes) return {};
  const std::filesystem::path folder = temporary_folder_for(arguments.out);
  print_temporary_space(arguments.common, bytes, folder);
  return folder;
}

void run_synth(synth_arguments& arguments) {
  if (arguments.csv == "-") {
    throw option_error("csv", "standard output cannot be staged; give a file (a file named \"-\" is ./-)");
  }
  synth_options options = shape_of(arguments);
  if (arguments.csv.empty()) {
    dataset::check_path(arguments.out, arguments.replace);
  } else {
    check_paths(arguments.out, arguments.csv, arguments.replace);
  }
  const run_control control = make_control(arguments.common);
  if (!arguments.seed) {
    arguments.seed = random_seed();
    print_note(arguments.common,
               fmt::format("seed {} was drawn; give it with --seed to make the same dataset again", *arguments.seed));
  }
  options.seed = *arguments.seed;
  const dataset data = synthesize(options, control, {}, spill_folder(arguments, options));
  if (arguments.csv.empty()) {
    data.save(arguments.out, arguments.replace);
  } else {
    save_with_ratings(data, arguments.out, arguments.csv, arguments.replace, control);
  }

  nlohmann::ordered_json summary = summarize(data, arguments.out);
  summary["interactions"] = options.interactions;
  summary["seed"] = std::to_string(options.seed);
  std::string text = describe(data, arguments.out);
  if (!arguments.csv.empty()) {
    summary["csv"] = arguments.csv.string();
    text += fmt::format("{}: {} ratings, from which prepare makes the same dataset\n", arguments.csv.string(),
                        options.interactions);
  }
  print_outcome(arguments.common, summary, text);
}

}  // namespace

void add_synth(CLI::App& app) {
  auto arguments = std::make_shared<synth_arguments>();
  CLI::App& command = *app.add_subcommand("synth", "Make a synthetic dataset of a given shape, with long tails");
  command.add_option("--out", arguments->out, "folder to write the dataset to")->required();
  command.add_option("--like", arguments->like,
                     "shape of a known dataset: ml-1m, ml-20m, ml-20m-16x32 or vk-lsvd:SCALE; options below change it");
  command.add_option("--users", arguments->users, "number of users");
  command.add_option("--items", arguments->items, "number of items, each with at least one rating");
  command.add_option("--positives", arguments->interactions,
                     "number of distinct (user, item) pairs, including the held-out item of each user");
  command.add_option("--min-ratings", arguments->min_ratings, "minimum number of pairs per user (default: 20)");
  command.add_option("--csv", arguments->csv, "also write ratings from which prepare makes the same dataset");
  command.add_option("--seed", arguments->seed, "random seed; if not given, one is drawn, shown and recorded");
  command.add_flag("--force", arguments->replace, "replace the folder if it is a dataset, or empty, and the CSV file");
  add_common_options(command, arguments->common, "negpipe synth --like ml-1m --out ml-1m --seed 1");
  command.callback([arguments] { run_synth(*arguments); });
}

}  // namespace negpipe::cli
