#include <fmt/format.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "dataset_summary.hpp"
#include "negpipe/error.hpp"
#include "negpipe/ingest.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/prepare_on_disk.hpp"
#include "temporary_space.hpp"

namespace negpipe::cli {

namespace {

struct prepare_arguments {
  common_options common;
  std::vector<std::string> ratings;
  std::filesystem::path out;
  prepare_options options;
  std::string na_values;
  std::optional<std::uint64_t> seed;
  std::optional<std::string> split;
  std::vector<std::string> test;
  std::vector<std::string> validation;
  std::vector<std::string> names;
  std::optional<std::uint64_t> memory;
  std::uint32_t shards = 0;
  bool header = false;
  bool no_header = false;
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

/// Replaces each glob pattern by the matching files, sorted. Keeps names of existing files, and patterns without a
/// match.
std::vector<std::filesystem::path> expand(const std::vector<std::string>& names) {
  std::vector<std::filesystem::path> files;
  for (const std::string& name : names) {
    const bool pattern = name.find_first_of("*?[") != std::string::npos && ::access(name.c_str(), F_OK) != 0;
    glob_t found{};
    if (pattern && ::glob(name.c_str(), 0, nullptr, &found) == 0) {
      files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
    } else {
      files.emplace_back(name);
    }
    ::globfree(&found);
  }
  return files;
}

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::string describe_unknown(const prepare_summary& rows) {
  if (rows.unknown_rows == 0) return {};
  const auto named = [](std::uint64_t count, const char* what, const std::vector<std::string>& ids) {
    if (count == 0) return fmt::format("0 {}", what);
    return fmt::format("{} {} ({}{})", count, what, fmt::join(ids, ", "), count > ids.size() ? ", ..." : "");
  };
  return fmt::format("{} held-out ratings dropped: {} and {} have no training rating; keep them with --unknown keep\n",
                     rows.unknown_rows, named(rows.unknown_users, "users", rows.unknown_user_ids),
                     named(rows.unknown_items, "items", rows.unknown_item_ids));
}

std::string describe_rows(const prepare_options& options, const std::string& source, const prepare_summary& rows) {
  std::string text = fmt::format("{} ratings read from {}\n", rows.rows_read, source);
  text += fmt::format("read as {}\n", rows.detected.to_string());
  if (rows.rows_missing != 0) text += fmt::format("{} rows without a user, item or time dropped\n", rows.rows_missing);
  if (rows.rows_below_rating != 0) {
    text += fmt::format("{} rows rated lower than {} dropped\n", rows.rows_below_rating, *options.min_rating);
  }
  if (rows.duplicates_dropped != 0) text += fmt::format("{} repeated pairs dropped\n", rows.duplicates_dropped);
  if (rows.items_dropped != 0) {
    text += fmt::format(
        "{} users with fewer than {} ratings and {} items with fewer than {} dropped, and their {} ratings\n",
        rows.users_dropped, options.min_ratings, rows.items_dropped, options.min_item_ratings, rows.rows_dropped);
  } else if (rows.users_dropped != 0) {
    text += fmt::format("{} users with fewer than {} ratings dropped, and their {} ratings\n", rows.users_dropped,
                        options.min_ratings, rows.rows_dropped);
  }
  return text + describe_unknown(rows);
}

/// Temporary files are beside the output, which needs space there anyway.
memory_limit settle_memory(const prepare_arguments& arguments, const std::vector<std::filesystem::path>& files) {
  const memory_limit limit{*arguments.memory, temporary_folder_for(arguments.out)};
  const std::uint64_t bytes = temporary_bytes(files, limit);
  if (bytes != 0) print_temporary_space(arguments.common, bytes, limit.temporary_folder);
  return limit;
}

/// The names by which files are shown: those that --name gives, or their paths.
class shown_names {
 public:
  explicit shown_names(const std::vector<std::string>& given) {
    for (const std::string& pair : given) {
      const std::size_t equals = pair.find('=');
      if (equals == pair.npos || equals == 0) throw option_error("--name: " + pair + " given, FILE=NAME wanted");
      names_[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
  }

  std::string of(const std::string& file) const {
    const auto found = names_.find(file);
    return found == names_.end() ? file : found->second;
  }
  /// Adds the names of files. Leaves an empty list empty if no name is given: then standard input has its own.
  void add(const std::vector<std::filesystem::path>& files, std::vector<std::string>& names) const {
    if (names_.empty()) return;
    for (const auto& file : files) names.push_back(of(file.string()));
  }

 private:
  std::map<std::string, std::string> names_;
};

dataset read_and_split(prepare_arguments& arguments, const std::vector<std::filesystem::path>& files,
                       const run_control& control, prepare_summary& rows) {
  if (arguments.split) arguments.options.split = split_options::parse(*arguments.split);
  if (arguments.test.empty()) {
    if (!arguments.validation.empty()) {
      throw option_error("--validation needs --test: both are files of a split that is made already");
    }
    if (!arguments.memory) return prepare(files, arguments.options, control, &rows);
    return prepare(files, arguments.options, settle_memory(arguments, files), control, &rows);
  }
  if (arguments.split) throw option_error("--split and --test exclude each other: --test gives a split");
  const std::vector<std::filesystem::path> test = expand(arguments.test);
  const std::vector<std::filesystem::path> validation = expand(arguments.validation);
  const shown_names shown(arguments.names);
  shown.add(validation, arguments.options.table.names);
  shown.add(test, arguments.options.table.names);
  const split_files split{files, test, validation};
  if (!arguments.memory) return prepare(split, arguments.options, control, &rows);
  std::vector<std::filesystem::path> all = files;
  all.insert(all.end(), validation.begin(), validation.end());
  all.insert(all.end(), test.begin(), test.end());
  return prepare(split, arguments.options, settle_memory(arguments, all), control, &rows);
}

void run_prepare(prepare_arguments& arguments) {
  const std::vector<std::filesystem::path> files = expand(arguments.ratings);
  for (const std::vector<std::string>* names : {&arguments.ratings, &arguments.test, &arguments.validation}) {
    for (const std::filesystem::path& file : expand(*names)) {
      dataset::check_path(arguments.out, arguments.replace, file == "-" ? std::filesystem::path() : file);
    }
  }
  const run_control control = make_control(arguments.common);
  settle_seed(arguments);
  if (arguments.header || arguments.no_header) arguments.options.table.header = arguments.header;
  const shown_names shown(arguments.names);
  shown.add(files, arguments.options.table.names);
  prepare_summary rows;
  const dataset data = read_and_split(arguments, files, control, rows);
  data.save(arguments.out, arguments.replace, arguments.shards);

  nlohmann::ordered_json summary = summarize(data, arguments.out);
  summary["rows_read"] = rows.rows_read;
  summary["rows_missing"] = rows.rows_missing;
  summary["rows_below_rating"] = rows.rows_below_rating;
  summary["duplicates_dropped"] = rows.duplicates_dropped;
  summary["users_dropped"] = rows.users_dropped;
  summary["items_dropped"] = rows.items_dropped;
  summary["rows_dropped"] = rows.rows_dropped;
  summary["unknown_rows"] = rows.unknown_rows;
  summary["unknown_users"] = rows.unknown_users;
  summary["unknown_items"] = rows.unknown_items;
  summary["ties"] = data.origin().ties;
  if (arguments.options.ties == tie_order::shuffled) summary["seed"] = std::to_string(arguments.options.seed);
  summary["table"] = nlohmann::ordered_json::parse(data.origin().options)["table"];
  for (std::string& file : arguments.ratings) file = shown.of(file);
  print_outcome(arguments.common, summary,
                describe_rows(arguments.options, fmt::format("{}", CLI::detail::join(arguments.ratings, ", ")), rows) +
                    describe(data, arguments.out));
}

void add_columns(CLI::App& command, prepare_arguments& arguments) {
  table_options& table = arguments.options.table;
  const auto add = [&](const char* flag, std::string& value, const char* text) {
    command.add_option(flag, value, text)->group("Columns")->type_name("NAME|NUMBER");
  };
  add("--user-column", table.user_column, "user column, by name or 1-based number; detected by default");
  add("--item-column", table.item_column, "item column");
  add("--time-column", table.time_column, "time column: numbers or ISO 8601 dates");
  add("--rating-column", table.rating_column, "rating column, read only for --min-rating");
  take_one_of<row_order>(command.add_option("--order", table.order,
                                            "order of a user's ratings: by time, or as in the file (file)"),
                         {{"time", row_order::time}, {"file", row_order::file}})
      ->default_str("time")
      ->group("Columns");
}

void add_format(CLI::App& command, prepare_arguments& arguments) {
  table_options& table = arguments.options.table;
  command
      .add_option("--separator", table.separator,
                  "\",\" \";\" \"|\" tab, space (runs of spaces), :: or another character; detected by default")
      ->group("Format");
  auto* header =
      command.add_flag("--header", arguments.header, "the first line names the columns; detected by default")
          ->group("Format");
  command.add_flag("--no-header", arguments.no_header, "the first line is a rating")->group("Format")->excludes(header);
  command.add_option("--comment", table.comment, "skip lines that start with this character")->group("Format");
  command.add_flag("!--no-quotes", table.quotes, "treat quotes as ordinary characters")->group("Format");
  take_one_of<row_layout>(command.add_option("--layout", table.layout,
                                             "content of a line: a rating (table), or a user and items (item-lists)"),
                          {{"table", row_layout::table}, {"item-lists", row_layout::item_lists}})
      ->group("Format");
  take_one_of<text_encoding>(
      command.add_option("--encoding", table.encoding,
                         "utf-8, utf-16 or latin-1; detected by a byte order mark"),
      {{"utf-8", text_encoding::utf8}, {"utf-16", text_encoding::utf16}, {"latin-1", text_encoding::latin1}})
      ->group("Format");
  command.add_option("--member", table.member, "the table in a zip archive that holds several files")->group("Format");
  command
      .add_option("--name", arguments.names,
                  "show FILE as NAME in messages and dataset.json; for a copy, or -=NAME for standard input")
      ->group("Format")
      ->type_name("FILE=NAME")
      ->allow_extra_args(false);
  take_one_of<missing_policy>(
      command.add_option("--missing", table.missing, "rows without a user, item or time: fail (error) or drop"),
      {{"error", missing_policy::error}, {"drop", missing_policy::drop}})
      ->default_str("error")
      ->group("Format");
  command
      .add_option("--na-values", arguments.na_values,
                  "words that mean \"missing\" besides the empty field, separated by commas; by default " +
                      fmt::format("{}", CLI::detail::join(table.na_values, ",")))
      ->group("Format")
      ->type_name("WORDS")
      ->each([&arguments](const std::string& words) { arguments.options.table.na_values = split_words(words); });
}

void add_split(CLI::App& command, prepare_arguments& arguments) {
  const auto add = [&](const char* flag, auto& value, const char* text) {
    return command.add_option(flag, value, text)->group("Split");
  };
  add("--split", arguments.split,
      "leave-one-out (default), leave-two-out (validation and test item), ratio:0.8,0.1,0.1 (training, validation, "
      "test: in the order of time within each user), time:T (test from a time or date on) or time:T,U (validation from "
      "T, test from U)")
      ->type_name("SPLIT");
  add("--test", arguments.test, "files with the test items of a split that is made already; RATINGS are for training")
      ->type_name("FILE");
  add("--validation", arguments.validation, "files with the validation items of such a split")->type_name("FILE");
  take_one_of<unknown_policy>(
      add("--unknown", arguments.options.unknown,
          "held-out ratings whose user or item has no training rating, with --test or time:T: drop, keep or fail "
          "(error)"),
      {{"drop", unknown_policy::drop}, {"keep", unknown_policy::keep}, {"error", unknown_policy::error}})
      ->default_str("drop");
}

void add_selection(CLI::App& command, prepare_arguments& arguments) {
  prepare_options& options = arguments.options;
  command.add_option("--min-rating", options.min_rating, "drop rows with a lower rating; by default all are kept")
      ->group("Selection")
      ->type_name("RATING");
  command.add_option("--min-ratings", options.min_ratings, "drop users with fewer ratings")
      ->capture_default_str()
      ->group("Selection");
  command.add_option("--min-item-ratings", options.min_item_ratings, "afterwards drop items with fewer ratings")
      ->capture_default_str()
      ->group("Selection");
  command.add_flag("--k-core", options.k_core, "repeat both until all remaining users and items have enough ratings")
      ->group("Selection");
  take_one_of<duplicate_policy>(
      command.add_option("--duplicates", options.duplicates,
                         "rows with the same user and item: fail (error), or keep the first or last in the file"),
      {{"error", duplicate_policy::error}, {"first", duplicate_policy::first}, {"last", duplicate_policy::last}})
      ->default_str("error")
      ->group("Selection");
  take_one_of<tie_order>(
      command.add_option("--ties", options.ties, "order of one user's ratings of the same time: file or shuffled"),
      {{"file", tie_order::file}, {"shuffled", tie_order::shuffled}})
      ->default_str("file")
      ->group("Selection");
  command.add_flag("--mlperf", arguments.mlperf, "the same as --ties shuffled")->group("Selection");
  command.add_option("--seed", arguments.seed, "seed of --ties shuffled; by default drawn, shown and recorded")
      ->group("Selection");
  take_one_of<known_dataset>(
      command.add_option("--expect", options.expect, "fail unless user and item counts are those of ml-1m or ml-20m"),
      {{"ml-1m", known_dataset::ml_1m}, {"ml-20m", known_dataset::ml_20m}})
      ->group("Selection");
}

}  // namespace

void add_prepare(CLI::App& app) {
  auto arguments = std::make_shared<prepare_arguments>();
  CLI::App& command = *app.add_subcommand("prepare", "Make a dataset from a table of ratings");
  command
      .add_option(
          "RATINGS", arguments->ratings,
          "tables of users, items and times, read as one: CSV and similar formats, MovieLens .dat and u.data, RecBole "
          ".inter, JSON lines, LightGCN's lists; plain, gzip, zstd, bzip2, xz or zip; - is standard input")
      ->required();
  command.add_option("--out", arguments->out, "folder to write the dataset to")->required();
  command
      .add_option("--memory", arguments->memory,
                  "limit of the memory for rows, in bytes (suffixes k, M, G); beyond it they are sorted in temporary "
                  "files beside --out. The dataset is the same")
      ->transform(byte_count());
  command
      .add_option("--shards", arguments->shards, "cut the arrays of users into this many files; 0: one file an array")
      ->type_name("N")
      ->transform(count_up_to(max_shards))
      ->capture_default_str();
  command.add_flag("--force", arguments->replace, "replace the folder if it is a dataset, or empty");
  add_columns(command, *arguments);
  add_format(command, *arguments);
  add_selection(command, *arguments);
  add_split(command, *arguments);
  add_common_options(command, arguments->common,
                     "negpipe prepare ratings.csv --out ml-1m --expect ml-1m\n"
                     "  negpipe prepare u.data --out ml-100k\n"
                     "  negpipe prepare reviews.json.gz --out amazon --min-ratings 5 --min-item-ratings 5 --k-core\n"
                     "  negpipe prepare train.txt --test test.txt --out gowalla --min-ratings 1");
  command.callback([arguments] { run_prepare(*arguments); });
}

}  // namespace negpipe::cli
