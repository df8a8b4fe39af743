#include "build.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "arrange.hpp"
#include "arrange_on_disk.hpp"
#include "negpipe/error.hpp"
#include "negpipe/synth.hpp"

namespace negpipe::ingest {

namespace {

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

std::optional<common_split> common_split_of(const ratings& read, const prepare_options& options,
                                            const part_counts* given) {
  if (given != nullptr) {
    return common_split(read.part_begins[given->training], read.part_begins[given->training + given->validation]);
  }
  if (options.split.kind == split_kind::time) return common_split(options.split, read);
  return {};
}

/// Notes times of different units, such as seconds in one part of a file and milliseconds in another.
void note_mixed_units(std::int64_t lowest, std::int64_t highest, detected_table& detected) {
  const std::int64_t low_unit = guess_times_per_second(lowest);
  const std::int64_t high_unit = guess_times_per_second(highest);
  if (low_unit == 0 || low_unit == high_unit) return;
  detected.assumed += fmt::format("{}times from {} to {} may be of different units: check them",
                                  detected.assumed.empty() ? "" : "; ", lowest, highest);
}

void note_mixed_units(ratings& read, const row_spool* spool) {
  if (read.times_per_second == 0) return;
  if (spool != nullptr) {
    const auto [lowest, highest] = spool->times();
    note_mixed_units(lowest, highest, read.detected);
  } else if (!read.columns.timestamps.empty()) {
    const auto [lowest, highest] = std::ranges::minmax(read.columns.timestamps);
    note_mixed_units(lowest, highest, read.detected);
  }
}

}  // namespace

dataset build(ratings&& read, const prepare_options& options, const part_counts* given, const run_control& control,
              prepare_summary* summary, row_spool* spool) {
  if (spool != nullptr && spool->row_count() == 0) spool = nullptr;
  prepare_summary counts;
  note_mixed_units(read, spool);
  counts.detected = read.detected;
  counts.rows_read = spool == nullptr ? read.columns.row_count() : spool->row_count();
  counts.rows_missing = read.rows_missing;
  counts.rows_below_rating = read.rows_low;
  if (counts.rows_read == 0) refuse_no_rows(read.name, counts);

  const std::optional<common_split> common = common_split_of(read, options, given);
  const common_split* const split = common ? &*common : nullptr;
  auto [arrays, order] = spool == nullptr ? arrange(read, options, split, control, counts)
                                          : arrange_on_disk(read, *spool, options, split, control, counts);
  if (options.expect) check_counts(read.name, *options.expect, order.users.size(), order.items.size());
  if (arrays.positive_items.empty() && arrays.positives_elsewhere.empty()) {
    refuse_empty_set("training positive", read, options, counts);
  }
  if (arrays.heldout_items.empty()) refuse_empty_set("test item", read, options, counts);
  arrays.user_ids = ids_in_order(read.user_ids, order.users);
  arrays.item_ids = ids_in_order(read.item_ids, order.items);

  control.throw_if_stopped();
  control.report({building_stage, "steps", building_steps - 1, building_steps});
  dataset made(std::move(arrays), describe(options, given != nullptr, read, counts.rows_read));
  control.report({building_stage, "steps", building_steps, building_steps});
  if (summary != nullptr) *summary = counts;
  return made;
}

}  // namespace negpipe::ingest
