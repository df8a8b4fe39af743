// Which rows stay: repeated pairs are settled, then users and items with too few rows go.
#pragma once

#include <cstdint>
#include <vector>

#include "negpipe/ingest.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"
#include "user_rows.hpp"

namespace negpipe::ingest {

/// Decides row by row. Two rows of the same (user, item) pair are repeats, whatever else they hold.
struct row_selection {
  static constexpr std::uint64_t none = ~std::uint64_t{0};

  std::vector<std::uint8_t> kept;     ///< [row_count] 1 or 0
  std::uint64_t first_repeat = none;  ///< the first row of the file whose pair stands in an earlier one
  std::uint64_t repeated_row = none;  ///< the last row before it with the same pair
  std::uint64_t duplicates_dropped = 0;
  std::uint64_t users_dropped = 0;
  std::uint64_t items_dropped = 0;
  std::uint64_t rows_dropped = 0;  ///< rows of the dropped users and items
};

/// With duplicate_policy::error nothing is settled: the caller refuses the file when first_repeat is set.
row_selection select_rows(const rating_columns& columns, const user_rows& grouped, std::size_t item_count,
                          const prepare_options& options, support::thread_pool& pool);

/// Removes the other rows and renumbers users and items by first appearance in those that stay. Gives the old
/// number of every new one.
struct renumbering {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
};
renumbering keep_selected(rating_columns& columns, const row_selection& selection, std::size_t user_count,
                          std::size_t item_count);

}  // namespace negpipe::ingest
