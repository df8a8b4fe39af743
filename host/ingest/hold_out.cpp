#include "hold_out.hpp"

#include <algorithm>
#include <cstddef>

#include "negpipe/core/counter.hpp"
#include "negpipe/core/philox.hpp"

namespace negpipe::ingest {

namespace {

std::uint64_t tie_rank(std::uint64_t seed, std::uint64_t row) {
  const auto block = core::philox4x32_10(core::make_counter(core::tag::ties, 0, row, 0), seed);
  return static_cast<std::uint64_t>(block.word[1]) << 32 | block.word[0];
}

std::uint64_t tie_rank(std::uint64_t seed, const rating_columns& columns, std::uint64_t row) {
  return tie_rank(seed, columns.ranks.empty() ? row : columns.ranks[row]);
}

/// Returns the last row of a user by time, with ties ordered by tie_order. Rows must ascend. Does not sort.
std::uint64_t last_row(const rating_columns& columns, std::span<const std::uint64_t> rows, tie_order ties,
                       std::uint64_t seed) {
  std::uint64_t last = rows.front();
  instant last_time = columns.time_of(last);
  for (const std::uint64_t row : rows.subspan(1)) {
    const instant time = columns.time_of(row);
    if (time < last_time) continue;
    const bool by_rank = time == last_time && ties == tie_order::shuffled;
    if (by_rank && tie_rank(seed, columns, row) < tie_rank(seed, columns, last)) continue;
    last = row;
    last_time = time;
  }
  return last;
}

}  // namespace

void sort_by_time(const rating_columns& columns, tie_order ties, std::uint64_t seed, std::vector<std::uint64_t>& rows) {
  const auto rank = [&](std::uint64_t row) { return ties == tie_order::shuffled ? tie_rank(seed, columns, row) : row; };
  std::ranges::stable_sort(rows, [&](std::uint64_t a, std::uint64_t b) {
    const instant first = columns.time_of(a);
    const instant second = columns.time_of(b);
    return first < second || (first == second && rank(a) < rank(b));
  });
}

void hold_out_last(const rating_columns& columns, const user_rows& grouped, tie_order ties, std::uint64_t seed,
                   support::thread_pool& pool, dataset_arrays& arrays) {
  const std::size_t user_count = grouped.user_count();
  arrays.user_offsets.resize(user_count + 1);
  for (std::size_t user = 0; user <= user_count; ++user) {
    arrays.user_offsets[user] = static_cast<std::int64_t>(grouped.offsets[user] - user);
  }
  arrays.heldout_items.resize(user_count);
  arrays.positive_items.resize(columns.row_count() - user_count);
  const auto ranges = split_evenly(grouped.offsets, pool.thread_count());
  pool.for_each(ranges.size(), [&](std::uint64_t i) {
    for (std::size_t user = ranges[i].begin; user < ranges[i].end; ++user) {
      const auto rows = grouped.of(user);
      const std::uint64_t held = last_row(columns, rows, ties, seed);
      arrays.heldout_items[user] = columns.items[held];
      const auto begin = arrays.positive_items.begin() + arrays.user_offsets[user];
      auto end = begin;
      for (const std::uint64_t row : rows) {
        if (row != held) *end++ = columns.items[row];
      }
      std::sort(begin, end);
    }
  });
}

}  // namespace negpipe::ingest
