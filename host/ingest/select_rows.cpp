#include "select_rows.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace negpipe::ingest {

namespace {

/// Finds and drops repeats of a range of users. Ranges write only the flags of their own rows.
class user_selector {
 public:
  user_selector(const rating_columns& columns, const user_rows& grouped, std::size_t item_count,
                const prepare_options& options, std::vector<std::uint8_t>& kept)
      : columns_(columns), grouped_(grouped), options_(options), kept_(kept), last_slot_(item_count, 0) {}

  /// Ranges must ascend.
  void run(user_range range) {
    for (std::size_t user = range.begin; user < range.end; ++user) {
      const std::uint64_t repeats = settle_repeats(user);
      found_.duplicates_dropped += repeats;
      if (!grouped_.of(user).empty()) drop_if_small(user, grouped_.of(user).size() - repeats);
    }
  }
  const row_selection& found() const { return found_; }

 private:
  std::uint64_t settle_repeats(std::size_t user) {
    std::uint64_t repeats = 0;
    for (std::uint64_t slot = grouped_.offsets[user]; slot < grouped_.offsets[user + 1]; ++slot) {
      const std::uint64_t row = grouped_.rows[slot];
      std::uint64_t& last = last_slot_[static_cast<std::size_t>(columns_.items[row])];
      if (last > grouped_.offsets[user]) {  // slots of earlier users are below: no clearing between users
        const std::uint64_t earlier = grouped_.rows[last - 1];
        ++repeats;
        note_repeat(row, earlier);
        kept_[options_.duplicates == duplicate_policy::last ? earlier : row] = 0;
      }
      last = slot + 1;
    }
    return repeats;
  }

  void note_repeat(std::uint64_t row, std::uint64_t earlier) {
    if (row >= found_.first_repeat) return;
    found_.first_repeat = row;
    found_.repeated_row = earlier;
  }

  void drop_if_small(std::size_t user, std::uint64_t row_count) {
    if (row_count >= options_.min_ratings) return;
    for (const std::uint64_t row : grouped_.of(user)) kept_[row] = 0;
    ++found_.users_dropped;
    found_.rows_dropped += row_count;
  }

  const rating_columns& columns_;
  const user_rows& grouped_;
  const prepare_options& options_;
  std::vector<std::uint8_t>& kept_;
  std::vector<std::uint64_t> last_slot_;  // [item_count] one more than the slot in which the item was met last
  row_selection found_;
};

// Returns the new number of an old one; assigns the next free number if it has none yet.
std::int32_t renumbered(std::int32_t old, std::vector<std::int32_t>& number_of, std::vector<std::int32_t>& order) {
  std::int32_t& number = number_of[static_cast<std::size_t>(old)];
  if (number < 0) {
    number = static_cast<std::int32_t>(order.size());
    order.push_back(old);
  }
  return number;
}

}  // namespace

row_selection select_rows(const rating_columns& columns, const user_rows& grouped, std::size_t item_count,
                          const prepare_options& options, support::thread_pool& pool) {
  row_selection selection;
  selection.kept.assign(columns.row_count(), 1);
  const auto ranges = split_evenly(grouped.offsets, pool.thread_count());
  std::vector<row_selection> found(pool.thread_count());
  std::atomic<std::size_t> next = 0;
  pool.for_each(found.size(), [&](std::uint64_t i) {
    user_selector selector(columns, grouped, item_count, options, selection.kept);  // large, so one a thread
    for (std::size_t range = next++; range < ranges.size(); range = next++) selector.run(ranges[range]);
    found[i] = selector.found();
  });
  for (const row_selection& part : found) {
    if (part.first_repeat < selection.first_repeat) {
      selection.first_repeat = part.first_repeat;
      selection.repeated_row = part.repeated_row;
    }
    selection.duplicates_dropped += part.duplicates_dropped;
    selection.users_dropped += part.users_dropped;
    selection.rows_dropped += part.rows_dropped;
  }
  return selection;
}

void item_filter::count(const rating_columns& columns, const std::vector<std::uint8_t>& kept) {
  for (std::size_t row = 0; row < kept.size(); ++row) {
    if (kept[row] != 0) ++rows_[static_cast<std::size_t>(columns.items[row])];
  }
}

void item_filter::begin_round() {
  before_ = rows_;  // all small items of a round are dropped together
  dropped_users_ = false;
}

void item_filter::drop(const rating_columns& columns, std::size_t user_count, row_selection& selection) {
  std::vector<std::uint8_t>& kept = selection.kept;
  std::vector<std::uint64_t> rows_of(user_count, 0);
  std::vector<std::uint8_t> had_rows(user_count, 0);
  const auto item = [&](std::size_t row) { return static_cast<std::size_t>(columns.items[row]); };
  const auto user = [&](std::size_t row) { return static_cast<std::size_t>(columns.users[row]); };
  const auto drop_row = [&](std::size_t row) {
    kept[row] = 0;
    ++selection.rows_dropped;
    selection.items_dropped += --rows_[item(row)] == 0 ? 1U : 0U;
  };
  for (std::size_t row = 0; row < kept.size(); ++row) {
    if (kept[row] == 0) continue;
    had_rows[user(row)] = 1;
    before_[item(row)] < options_.min_item_ratings ? drop_row(row) : void(++rows_of[user(row)]);
  }
  const std::uint64_t least = options_.k_core ? options_.min_ratings : 0;
  for (std::size_t row = 0; options_.k_core && row < kept.size(); ++row) {
    if (kept[row] == 0 || rows_of[user(row)] >= least) continue;
    drop_row(row);
    dropped_users_ = true;
  }
  for (std::size_t u = 0; u < user_count; ++u) {
    selection.users_dropped += had_rows[u] != 0 && rows_of[u] < std::max<std::uint64_t>(least, 1) ? 1U : 0U;
  }
}

renumbering keep_selected(rating_columns& columns, const row_selection& selection, std::size_t user_count,
                          std::size_t item_count) {
  renumbering order;
  std::vector<std::int32_t> user_numbers(user_count, -1);
  std::vector<std::int32_t> item_numbers(item_count, -1);
  std::size_t end = 0;
  for (std::size_t row = 0; row < columns.row_count(); ++row) {
    if (selection.kept[row] == 0) continue;
    columns.users[end] = renumbered(columns.users[row], user_numbers, order.users);
    columns.items[end] = renumbered(columns.items[row], item_numbers, order.items);
    if (!columns.timestamps.empty()) columns.timestamps[end] = columns.timestamps[row];
    if (!columns.fractions.empty()) columns.fractions[end] = columns.fractions[row];
    if (!columns.sets.empty()) columns.sets[end] = columns.sets[row];
    ++end;
  }
  columns.users.resize(end);
  columns.items.resize(end);
  if (!columns.timestamps.empty()) columns.timestamps.resize(end);
  if (!columns.fractions.empty()) columns.fractions.resize(end);
  if (!columns.sets.empty()) columns.sets.resize(end);
  return order;
}

}  // namespace negpipe::ingest
