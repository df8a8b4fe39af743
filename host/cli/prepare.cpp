#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "command.hpp"
#include "dataset_summary.hpp"
#include "negpipe/error.hpp"
#include "negpipe/ingest.hpp"
#include "negpipe/plan.hpp"

namespace negpipe::cli {

namespace {

struct prepare_arguments {
  common_options common;
  std::filesystem::path ratings;
  std::filesystem::path out;
  prepare_options options;
  std::optional<std::uint64_t> seed;
  bool mlperf = false;
  bool replace = false;
};

void settle_seed(prepare_arguments& arguments) {
  if (arguments.mlperf) arguments.options.ties = tie_order::shuffled;
  if (arguments.options.ties == tie_order::file) {
    if (arguments.seed) print_note(arguments.common, "--seed has no effect without --ties shuffled");
    return;
  }
  if (!arguments.seed) {
    arguments.seed = random_seed();
    print_note(arguments.common,
               fmt::format("seed {} was drawn; give it with --seed to make the same dataset again", *arguments.seed));
  }
  arguments.options.seed = *arguments.seed;
}

void run_prepare(prepare_arguments& arguments) {
  dataset::check_place(arguments.out, arguments.replace, arguments.ratings);
  const run_control control = make_control(arguments.common);
  settle_seed(arguments);
  prepare_summary rows;
  const dataset data = prepare(arguments.ratings, arguments.options, control, &rows);
  data.save(arguments.out, arguments.replace);

  nlohmann::ordered_json summary = summarize(data, arguments.out);
  summary["rows_read"] = rows.rows_read;
  summary["duplicates_dropped"] = rows.duplicates_dropped;
  summary["users_dropped"] = rows.users_dropped;
  summary["rows_dropped"] = rows.rows_dropped;
  summary["ties"] = data.origin().ties;
  if (arguments.options.ties == tie_order::shuffled) summary["seed"] = std::to_string(arguments.options.seed);
  std::string text = fmt::format("{} ratings read from {}\n", rows.rows_read, arguments.ratings.string());
  if (rows.duplicates_dropped != 0) text += fmt::format("{} repeated pairs dropped\n", rows.duplicates_dropped);
  if (rows.users_dropped != 0) {
    text += fmt::format("{} users with fewer than {} ratings dropped, and their {} ratings\n", rows.users_dropped,
                        arguments.options.min_ratings, rows.rows_dropped);
  }
  print_outcome(arguments.common, summary, text + describe(data, arguments.out));
}

}  // namespace

void add_prepare(CLI::App& app) {
  auto arguments = std::make_shared<prepare_arguments>();
  prepare_options& options = arguments->options;
  CLI::App& command = *app.add_subcommand("prepare", "Make a dataset from a file of ratings");
  command
      .add_option("RATINGS", arguments->ratings,
                  "CSV with a header (user_id or userId, item_id or movieId, timestamp; any order), MovieLens .dat "
                  "or u.data; plain or gzip-compressed")
      ->required();
  command.add_option("--out", arguments->out, "folder to write the dataset to")->required();
  command.add_option("--min-ratings", options.min_ratings, "users with fewer ratings are dropped")
      ->capture_default_str();
  take_one_of<tie_order>(
      command.add_option("--ties", options.ties, "order of one user's ratings of the same second: file or shuffled"),
      {{"file", tie_order::file}, {"shuffled", tie_order::shuffled}})
      ->default_str("file");
  take_one_of<duplicate_policy>(
      command.add_option("--duplicates", options.duplicates,
                         "rows of the same user and item: refuse them (error), keep the first or the last of the file"),
      {{"error", duplicate_policy::error}, {"first", duplicate_policy::first}, {"last", duplicate_policy::last}})
      ->default_str("error");
  take_one_of<known_dataset>(
      command.add_option("--expect", options.expect, "refuse unless users and items are those of ml-1m or ml-20m"),
      {{"ml-1m", known_dataset::ml_1m}, {"ml-20m", known_dataset::ml_20m}});
  command.add_flag("--mlperf", arguments->mlperf, "the same as --ties shuffled");
  command.add_option("--seed", arguments->seed, "seed of --ties shuffled; drawn, shown and recorded if not given");
  command.add_flag("--force", arguments->replace, "replace the folder if it is a dataset, or empty");
  add_common_options(command, arguments->common, "negpipe prepare ratings.csv --out ml-1m --expect ml-1m");
  command.callback([arguments] { run_prepare(*arguments); });
}

}  // namespace negpipe::cli
