#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "arrange_on_disk.hpp"
#include "byte_stream.hpp"
#include "fields.hpp"
#include "disk_bytes.hpp"
#include "negpipe/error.hpp"
#include "negpipe/ingest.hpp"
#include "negpipe/prepare_on_disk.hpp"
#include "negpipe/synth.hpp"
#include "ratings.hpp"
#include "select_rows.hpp"
#include "split_rows.hpp"
#include "thread_pool.hpp"
#include "user_rows.hpp"

namespace negpipe {

namespace {

using namespace ingest;

std::string_view name_of(duplicate_policy policy) {
  switch (policy) {
    case duplicate_policy::error:
      return "error";
    case duplicate_policy::first:
      return "first";
    case duplicate_policy::last:
      return "last";
  }
  return {};
}

std::string_view name_of(unknown_policy policy) {
  switch (policy) {
    case unknown_policy::drop:
      return "drop";
    case unknown_policy::keep:
      return "keep";
    case unknown_policy::error:
      return "error";
  }
  return {};
}

[[noreturn]] void refuse_repeat(const ratings& read, const repeated_pair& repeat) {
  const auto id = [](const id_dictionary& ids, std::int32_t number) {
    return ids.kind() == id_kind::number ? std::to_string(ids.number(number)) : in_quotes(ids.text(number));
  };
  throw input_error(
      fmt::format("{}: user {} and item {} are already in {}; set `duplicates` to first or last to keep "
                  "one of such rows",
                  read.locations.name_of(repeat.row), id(read.user_ids, repeat.user), id(read.item_ids, repeat.item),
                  read.locations.name_beside(repeat.earlier, repeat.row)));
}

void check_counts(const std::string& path, known_dataset expected, std::size_t users, std::size_t items) {
  const std::string_view name = expected == known_dataset::ml_1m ? "ml-1m" : "ml-20m";
  const synth_options wanted = synth_shape(name);
  if (std::cmp_equal(users, wanted.users) && std::cmp_equal(items, wanted.items)) return;
  throw input_error(
      fmt::format("{}: {} users and {} items are left, but {} has {} and {}; use the original file with "
                  "20 ratings per user, or leave `expect` out",
                  path, users, items, name, wanted.users, wanted.items));
}

// Returns the ids with the given numbers, in their order.
std::variant<std::vector<std::int64_t>, std::vector<std::string>> ids_in_order(const id_dictionary& ids,
                                                                               const std::vector<std::int32_t>& order) {
  if (ids.kind() == id_kind::number) {
    std::vector<std::int64_t> numbers;
    numbers.reserve(order.size());
    for (const std::int32_t i : order) numbers.push_back(ids.number(i));
    return numbers;
  }
  std::vector<std::string> texts;
  texts.reserve(order.size());
  for (const std::int32_t i : order) texts.emplace_back(ids.text(i));
  return texts;
}

[[noreturn]] void refuse_no_rows(const std::string& path, const prepare_summary& counts) {
  if (counts.rows_missing == 0 && counts.rows_below_rating == 0) throw input_error(path + ": no ratings");
  throw input_error(fmt::format("{}: no ratings are left: {} rows lack a value, {} are below `min_rating`", path,
                                counts.rows_missing, counts.rows_below_rating));
}

/// Drops repeated rows, users and items with too few rows, and held-out rows of unknown ones. Then renumbers ids by
/// first appearance in the rest.
renumbering select(ratings& read, const prepare_options& options, common_split* split, support::thread_pool& pool,
                   prepare_summary& summary) {
  const auto user_count = static_cast<std::size_t>(read.user_ids.size());
  const auto item_count = static_cast<std::size_t>(read.item_ids.size());
  const user_rows grouped = group_by_user(read.columns.users, user_count);
  row_selection selection = select_rows(read.columns, grouped, item_count, options, pool);
  if (options.duplicates == duplicate_policy::error && selection.first_repeat != row_selection::none) {
    const std::uint64_t row = selection.first_repeat;
    refuse_repeat(read, {row, selection.repeated_row, read.columns.users[row], read.columns.items[row]});
  }
  summary.duplicates_dropped = selection.duplicates_dropped;
  summary.users_dropped = selection.users_dropped;
  summary.items_dropped = selection.items_dropped;
  summary.rows_dropped = selection.rows_dropped;
  if (split != nullptr) {
    settle_unknown(read, *split, options.unknown, selection, summary);
    split->remove_dropped_rows(selection.kept);
  }
  return keep_selected(read.columns, selection, user_count, item_count);
}

std::string record_options(const prepare_options& options, bool is_given, const detected_table& table) {
  nlohmann::ordered_json record = {{"command", "prepare"},
                                   {"min_ratings", options.min_ratings},
                                   {"duplicates", name_of(options.duplicates)},
                                   {"missing", options.table.missing == missing_policy::drop ? "drop" : "error"}};
  if (options.min_item_ratings > 1) record["min_item_ratings"] = options.min_item_ratings;
  if (options.k_core) record["k_core"] = true;
  if (options.min_rating) record["min_rating"] = *options.min_rating;
  record["split"] = is_given ? "given" : options.split.to_string();
  if (is_given || options.split.kind == split_kind::time) record["unknown"] = name_of(options.unknown);
  record["table"] = {{"format", table.format},
                     {"user_column", table.user_column},
                     {"item_column", table.item_column},
                     {"time_column", table.time_column},
                     {"user_ids", table.user_ids},
                     {"item_ids", table.item_ids},
                     {"times", table.times},
                     {"assumed", table.assumed}};
  return record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

dataset_origin describe(const prepare_options& options, bool is_given, const ratings& read, std::uint64_t rows_read) {
  const bool shuffled = options.ties == tie_order::shuffled;
  return {.source = std::filesystem::path(read.name).filename().string(),
          .source_digest = read.digest,
          .options = record_options(options, is_given, read.detected),
          .ties = shuffled ? "shuffled" : "file",
          .seed = shuffled ? options.seed : 0,
          .row_count = rows_read};
}

[[noreturn]] void refuse_empty_set(std::string_view set, const ratings& read, const prepare_options& options,
                                   const prepare_summary& counts) {
  throw input_error(fmt::format(
      "{}: not one {} is left: {} of {} rows belong to users with fewer than {} ratings or to items that were dropped, "
      "{} are held out without a training row of the user and item, and the split takes the rest; lower `min_ratings` "
      "or `min_item_ratings`, or choose another `split`",
      read.name, set, counts.rows_dropped, counts.rows_read, options.min_ratings, counts.unknown_rows));
}

/// Number of files or tables of the sets of a given split.
struct part_counts {
  std::size_t training;
  std::size_t validation;
};

std::optional<common_split> common_split_of(const ratings& read, const prepare_options& options,
                                            const part_counts* given) {
  if (given != nullptr) {
    return common_split(read.part_begins[given->training], read.part_begins[given->training + given->validation]);
  }
  if (options.split.kind == split_kind::time) return common_split(options.split, read);
  return {};
}

/// Notes times of different units, such as seconds in one part of a file and milliseconds in another.
void note_mixed_units(const ratings& read, detected_table& detected) {
  if (read.times_per_second == 0 || read.columns.timestamps.empty()) return;
  std::int64_t lowest = read.columns.timestamps.front();
  std::int64_t highest = lowest;
  for (const std::int64_t time : read.columns.timestamps) {
    lowest = std::min(lowest, time);
    highest = std::max(highest, time);
  }
  const std::int64_t low_unit = guess_times_per_second(lowest);
  const std::int64_t high_unit = guess_times_per_second(highest);
  if (low_unit == 0 || low_unit == high_unit) return;
  detected.assumed += fmt::format("{}times from {} to {} may be of different units: check them",
                                  detected.assumed.empty() ? "" : "; ", lowest, highest);
}

/// Makes the dataset from ratings. given: the parts of a given split, or null.
dataset build(ratings&& read, const prepare_options& options, const part_counts* given, const run_control& control,
              prepare_summary* summary) {
  constexpr std::uint64_t steps = 3;
  prepare_summary counts;
  note_mixed_units(read, read.detected);
  counts.detected = read.detected;
  counts.rows_read = read.columns.row_count();
  counts.rows_missing = read.rows_missing;
  counts.rows_below_rating = read.rows_low;
  if (counts.rows_read == 0) refuse_no_rows(read.name, counts);

  support::thread_pool pool(control.thread_count());
  control.throw_if_stopped();
  control.report({"building the dataset", "steps", 0, steps});
  std::optional<common_split> common = common_split_of(read, options, given);
  common_split* const split = common ? &*common : nullptr;
  const renumbering order = select(read, options, split, pool, counts);
  if (options.expect) check_counts(read.name, *options.expect, order.users.size(), order.items.size());

  control.throw_if_stopped();
  control.report({"building the dataset", "steps", 1, steps});
  dataset_arrays arrays;
  split_rows(read.columns, group_by_user(read.columns.users, order.users.size()), options, split, pool, arrays);
  if (arrays.positive_items.empty()) refuse_empty_set("training positive", read, options, counts);
  if (arrays.heldout_items.empty()) refuse_empty_set("test item", read, options, counts);
  arrays.user_ids = ids_in_order(read.user_ids, order.users);
  arrays.item_ids = ids_in_order(read.item_ids, order.items);
  read.columns = {};

  control.throw_if_stopped();
  control.report({"building the dataset", "steps", 2, steps});
  dataset made(std::move(arrays), describe(options, given != nullptr, read, counts.rows_read));
  control.report({"building the dataset", "steps", steps, steps});
  if (summary != nullptr) *summary = counts;
  return made;
}

}  // namespace

namespace {

/// Memory of prepare for each row: in memory, and for the rows of one partition.
constexpr std::uint64_t bytes_per_row = 40;
constexpr std::uint64_t bytes_per_partitioned_row = 64;
constexpr std::uint64_t max_partitions = 256;  // each is an open file, and so are its positives

/// Returns the number of rows of a file, estimated from its size and the length of its first lines. Compressed text is
/// taken for five times its size.
std::uint64_t estimated_rows(const std::filesystem::path& path) {
  if (path == "-") throw option_error("memory", "standard input has no size; give a file, or leave it out");
  const support::file file = support::file::open_read(path);
  constexpr std::uint64_t sampled_bytes = 1 << 16;
  std::string sample(static_cast<std::size_t>(std::min(file.size(), sampled_bytes)), '\0');
  support::read_at(file, 0, std::as_writable_bytes(std::span(sample)));
  constexpr std::uint64_t usual_row_bytes = 20;
  if (identify(path.string(), sample) != content::text) return 5 * file.size() / usual_row_bytes + 1;
  const auto lines = static_cast<std::uint64_t>(std::ranges::count(sample, '\n'));
  return lines == 0 ? 1 : file.size() / (sample.size() / lines) + 1;
}

std::uint64_t estimated_rows(std::span<const std::filesystem::path> files) {
  std::uint64_t rows = 0;
  for (const auto& file : files) rows += estimated_rows(file);
  return rows;
}

void check_on_disk(const prepare_options& options) {
  const char* reason = options.min_item_ratings > 1                       ? "items are filtered (`min_item_ratings`)"
                       : options.k_core                                   ? "items are filtered (`k_core`)"
                       : options.split.kind != split_kind::leave_one_out ? "the `split` is not leave-one-out"
                                                                          : nullptr;
  if (reason == nullptr) return;
  throw option_error("memory", fmt::format("does not apply where {}: this is done in memory; leave one out", reason));
}

/// build() for rows on disk.
dataset build_on_disk(ratings&& read, const row_spool& spool, const prepare_options& options,
                      const std::filesystem::path& folder, const run_control& control, prepare_summary* summary) {
  prepare_summary counts;
  counts.detected = read.detected;
  counts.rows_read = spool.row_count();
  counts.rows_missing = read.rows_missing;
  counts.rows_below_rating = read.rows_low;
  if (counts.rows_read == 0) refuse_no_rows(read.name, counts);
  disk_arrangement made =
      arrange_on_disk(spool, static_cast<std::size_t>(read.user_ids.size()),
                      static_cast<std::size_t>(read.item_ids.size()), options, folder, control, counts);
  if (options.duplicates == duplicate_policy::error && made.repeat.row != row_selection::none) {
    refuse_repeat(read, made.repeat);
  }
  if (options.expect) check_counts(read.name, *options.expect, made.order.users.size(), made.order.items.size());
  if (made.arrays.positives_elsewhere.empty()) refuse_empty_set("training positive", read, options, counts);
  made.arrays.user_ids = ids_in_order(read.user_ids, made.order.users);
  made.arrays.item_ids = ids_in_order(read.item_ids, made.order.items);
  dataset result(std::move(made.arrays), describe(options, false, read, counts.rows_read));
  if (summary != nullptr) *summary = counts;
  return result;
}

}  // namespace

std::uint64_t temporary_bytes(std::span<const std::filesystem::path> files, const memory_limit& limit) {
  if (limit.bytes == 0) throw option_error("memory", "0 given, a number of bytes such as 1G wanted");
  const std::uint64_t rows = estimated_rows(files);
  if (rows * bytes_per_row <= limit.bytes) return 0;
  return rows * (sizeof(spooled_row) + 2 * sizeof(std::int32_t));
}

dataset prepare(std::span<const std::filesystem::path> files, const prepare_options& options, const memory_limit& limit,
                const run_control& control, prepare_summary* summary) {
  if (files.empty()) throw option_error("no file of ratings is given");
  if (temporary_bytes(files, limit) == 0) return prepare(files, options, control, summary);
  check_on_disk(options);
  // Twice as many partitions as would fit exactly: users differ, and so do their partitions.
  const std::uint64_t row_bytes = estimated_rows(files) * bytes_per_partitioned_row;
  const std::uint64_t needed = 2 * row_bytes / std::max<std::uint64_t>(1, limit.bytes);
  row_spool spool(limit.folder, std::clamp<std::uint64_t>(needed, 2, max_partitions));
  ratings read = read_ratings(files, options, control, &spool);
  return build_on_disk(std::move(read), spool, options, limit.folder, control, summary);
}

std::string detected_table::to_string() const {
  std::string text =
      fmt::format("{}; user: {}, {}; item: {}, {}; ", format, user_column, user_ids, item_column, item_ids);
  text += time_column.empty() ? fmt::format("time: {}", times) : fmt::format("time: {}, {}", time_column, times);
  if (!rating_column.empty()) text += fmt::format("; rating: {}", rating_column);
  if (!assumed.empty()) text += fmt::format(" ({})", assumed);
  return text;
}

dataset prepare(const std::filesystem::path& path, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  return prepare(std::span(&path, 1), options, control, summary);
}

dataset prepare(std::span<const std::filesystem::path> files, const prepare_options& options,
                const run_control& control, prepare_summary* summary) {
  if (files.empty()) throw option_error("no file of ratings is given");
  return build(read_ratings(files, options, control), options, nullptr, control, summary);
}

namespace {

/// A given split needs no times.
prepare_options without_times(prepare_options options) {
  options.table.order = row_order::file;
  options.table.time_column.clear();
  options.ties = tie_order::file;
  return options;
}

/// The tables of a given split, in the order of part_counts.
template <typename Table, typename Split>
std::vector<Table> in_order(const Split& tables) {
  std::vector<Table> all{tables.training};
  if (tables.validation) all.push_back(*tables.validation);
  all.push_back(tables.test);
  return all;
}

}  // namespace

dataset prepare(const split_files& files, const prepare_options& given, const run_control& control,
                prepare_summary* summary) {
  if (files.training.empty()) throw option_error("no file of training ratings is given");
  if (files.test.empty()) throw option_error("no file of test ratings is given");
  const prepare_options options = without_times(given);
  std::vector<std::filesystem::path> all(files.training.begin(), files.training.end());
  all.insert(all.end(), files.validation.begin(), files.validation.end());
  all.insert(all.end(), files.test.begin(), files.test.end());
  const part_counts parts{files.training.size(), files.validation.size()};
  return build(read_ratings(all, options, control), options, &parts, control, summary);
}

dataset prepare(const rating_table& table, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  return build(read_columns(std::span(&table, 1), options, control), options, nullptr, control, summary);
}

dataset prepare(const split_tables& tables, const prepare_options& given, const run_control& control,
                prepare_summary* summary) {
  const prepare_options options = without_times(given);
  const std::vector all = in_order<rating_table>(tables);
  const part_counts parts{1, all.size() - 2};
  return build(read_columns(all, options, control), options, &parts, control, summary);
}

dataset prepare(const arrow_table& table, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  return build(read_arrow(std::span(&table, 1), options, control), options, nullptr, control, summary);
}

dataset prepare(const arrow_split& tables, const prepare_options& given, const run_control& control,
                prepare_summary* summary) {
  const prepare_options options = without_times(given);
  const std::vector all = in_order<arrow_table>(tables);
  const part_counts parts{1, all.size() - 2};
  return build(read_arrow(all, options, control), options, &parts, control, summary);
}

}  // namespace negpipe
