#include "arrange.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "fields.hpp"
#include "negpipe/error.hpp"
#include "thread_pool.hpp"
#include "unknown_rows.hpp"
#include "user_rows.hpp"

namespace negpipe::ingest {

namespace {

/// Returns the rows to keep.
row_selection select(const ratings& read, const prepare_options& options, const common_split* split,
                     support::thread_pool& pool, prepare_summary& summary) {
  const rating_columns& columns = read.columns;
  const auto user_count = static_cast<std::size_t>(read.user_ids.size());
  const auto item_count = static_cast<std::size_t>(read.item_ids.size());
  row_selection selection =
      select_rows(columns, group_by_user(columns.users, user_count), item_count, options, pool);
  if (const std::uint64_t row = selection.first_repeat;
      options.duplicates == duplicate_policy::error && row != row_selection::none) {
    refuse_repeat(read, {row, selection.repeated_row, columns.users[row], columns.items[row]});
  }
  if (options.min_item_ratings > 1) {
    item_filter filter(item_count, options);
    filter.count(columns, selection.kept);
    do {
      filter.begin_round();
      filter.drop(columns, user_count, selection);
    } while (filter.is_unsettled());
  }
  if (split != nullptr && options.unknown != unknown_policy::keep) {
    unknown_rows unknown(item_count, options.unknown);
    unknown.note_training(columns, selection.kept);
    unknown.drop(columns, user_count, {}, selection.kept);
    unknown.finish(read, summary);
  }
  summary.duplicates_dropped = selection.duplicates_dropped;
  summary.users_dropped = selection.users_dropped;
  summary.items_dropped = selection.items_dropped;
  summary.rows_dropped = selection.rows_dropped;
  return selection;
}

}  // namespace

arrangement arrange(ratings& read, const prepare_options& options, const common_split* split,
                    const run_control& control, prepare_summary& summary) {
  const auto begin_step = [&](std::uint64_t step) {
    control.throw_if_stopped();
    control.report({building_stage, "steps", step, building_steps});
  };
  support::thread_pool pool(control.thread_count());
  rating_columns& columns = read.columns;
  begin_step(0);
  if (split != nullptr) split->assign(columns);
  arrangement made;
  made.order = keep_selected(columns, select(read, options, split, pool, summary),
                             static_cast<std::size_t>(read.user_ids.size()),
                             static_cast<std::size_t>(read.item_ids.size()));
  begin_step(1);
  split_rows(columns, group_by_user(columns.users, made.order.users.size()), options, split, pool, made.arrays);
  columns = {};
  return made;
}

void refuse_repeat(const ratings& read, const repeated_pair& repeat) {
  const auto id = [](const id_dictionary& ids, std::int32_t number) {
    return ids.kind() == id_kind::number ? std::to_string(ids.number(number)) : in_quotes(ids.text(number));
  };
  throw input_error(
      fmt::format("{}: user {} and item {} are already in {}; set `duplicates` to first or last to keep "
                  "one of such rows",
                  read.locations.name_of(repeat.row), id(read.user_ids, repeat.user), id(read.item_ids, repeat.item),
                  read.locations.name_beside(repeat.earlier, repeat.row)));
}

}  // namespace negpipe::ingest
