#include "negpipe/ingest.hpp"

#include <fmt/format.h>

#include <utility>

#include "hold_out.hpp"
#include "negpipe/error.hpp"
#include "ratings.hpp"
#include "select_rows.hpp"
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

[[noreturn]] void refuse_repeat(const std::string& path, const ratings& read, const row_selection& selection) {
  const std::uint64_t row = selection.first_repeat;
  const auto id = [](const id_dictionary& ids, std::int32_t number) {
    return ids.kind() == id_kind::number ? std::to_string(ids.number(number)) : in_quotes(ids.text(number));
  };
  throw input_error(
      fmt::format("{}:{}: user {} and item {} stand in line {} already; keep one of such rows with "
                  "--duplicates first or last",
                  path, read.lines.line_of(row), id(read.user_ids, read.columns.users[row]),
                  id(read.item_ids, read.columns.items[row]), read.lines.line_of(selection.repeated_row)));
}

void check_counts(const std::string& path, known_dataset expected, std::size_t users, std::size_t items) {
  struct counts {
    std::string_view name;
    std::size_t users;
    std::size_t items;
  };
  const counts wanted =
      expected == known_dataset::ml_1m ? counts{"ml-1m", 6'040, 3'706} : counts{"ml-20m", 138'493, 26'744};
  if (users == wanted.users && items == wanted.items) return;
  throw input_error(
      fmt::format("{}: {} users and {} items are left, but {} has {} and {}; use the original file with "
                  "20 ratings a user, or leave --expect out",
                  path, users, items, wanted.name, wanted.users, wanted.items));
}

// The ids of the numbers that order names, in its order.
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

/// Settles repeats and small users; afterwards columns are numbered by first appearance in what is left.
renumbering select(const std::string& path, ratings& read, const prepare_options& options, support::thread_pool& pool,
                   prepare_summary& summary) {
  const auto user_count = static_cast<std::size_t>(read.user_ids.size());
  const auto item_count = static_cast<std::size_t>(read.item_ids.size());
  const user_rows grouped = group_by_user(read.columns.users, user_count);
  const row_selection selection = select_rows(read.columns, grouped, item_count, options, pool);
  if (options.duplicates == duplicate_policy::error && selection.first_repeat != row_selection::none) {
    refuse_repeat(path, read, selection);
  }
  summary.duplicates_dropped = selection.duplicates_dropped;
  summary.users_dropped = selection.users_dropped;
  summary.rows_dropped = selection.rows_dropped;
  return keep_selected(read.columns, selection, user_count, item_count);
}

dataset_origin describe(const std::filesystem::path& path, const prepare_options& options, const ratings& read,
                        std::uint64_t rows_read) {
  const bool shuffled = options.ties == tie_order::shuffled;
  return {.source = path.filename().string(),
          .source_digest = read.digest,
          .options = fmt::format(R"({{"command":"prepare","min_ratings":{},"duplicates":"{}"}})", options.min_ratings,
                                 name_of(options.duplicates)),
          .ties = shuffled ? "shuffled" : "file",
          .seed = shuffled ? options.seed : 0,
          .row_count = rows_read};
}

}  // namespace

dataset prepare(const std::filesystem::path& path, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  constexpr std::uint64_t steps = 3;
  prepare_summary counts;
  ratings read = read_ratings(path, control);
  counts.rows_read = read.columns.row_count();
  if (counts.rows_read == 0) throw input_error(path.string() + ": no ratings below the header");

  support::thread_pool pool(control.thread_count());
  control.throw_if_stopped();
  control.report({"building the dataset", "steps", 0, steps});
  const renumbering order = select(path.string(), read, options, pool, counts);
  if (options.expect) check_counts(path.string(), *options.expect, order.users.size(), order.items.size());
  if (order.users.size() == read.columns.row_count()) {
    throw input_error(
        fmt::format("{}: not one training positive is left: {} of {} rows belong to users with fewer than "
                    "{} ratings, and the last rating of each other user is held out; lower --min-ratings",
                    path.string(), counts.rows_dropped, counts.rows_read, options.min_ratings));
  }

  control.throw_if_stopped();
  control.report({"building the dataset", "steps", 1, steps});
  dataset_arrays arrays;
  hold_out_last(read.columns, group_by_user(read.columns.users, order.users.size()), options.ties, options.seed, pool,
                arrays);
  arrays.user_ids = ids_in_order(read.user_ids, order.users);
  arrays.item_ids = ids_in_order(read.item_ids, order.items);
  read.columns = {};

  control.throw_if_stopped();
  control.report({"building the dataset", "steps", 2, steps});
  dataset made(std::move(arrays), describe(path, options, read, counts.rows_read));
  control.report({"building the dataset", "steps", steps, steps});
  if (summary != nullptr) *summary = counts;
  return made;
}

}  // namespace negpipe
