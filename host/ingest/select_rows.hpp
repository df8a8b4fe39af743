// Selects rows: drops repeated pairs, then users and items with too few rows.
#pragma once

#include <cstdint>
#include <vector>

#include "negpipe/ingest.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"
#include "user_rows.hpp"

namespace negpipe::ingest {

/// Result of the selection. Rows with the same (user, item) pair are repeats, even if other fields differ.
struct row_selection {
  static constexpr std::uint64_t none = ~std::uint64_t{0};

  std::vector<std::uint8_t> kept;     ///< [row_count] 1 or 0
  std::uint64_t first_repeat = none;  ///< first row with the pair of an earlier row
  std::uint64_t repeated_row = none;  ///< last row before first_repeat with the same pair
  std::uint64_t duplicates_dropped = 0;
  std::uint64_t users_dropped = 0;
  std::uint64_t items_dropped = 0;
  std::uint64_t rows_dropped = 0;  ///< rows of the dropped users and items
};

/// Selects rows. With duplicate_policy::error the caller must refuse the file if first_repeat is set.
row_selection select_rows(const rating_columns& columns, const user_rows& grouped, std::size_t item_count,
                          const prepare_options& options, support::thread_pool& pool);

/// Old number of each new user and item.
struct renumbering {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
};
/// Removes the rows that are not kept, and renumbers users and items by first appearance in the others.
renumbering keep_selected(rating_columns& columns, const row_selection& selection, std::size_t user_count,
                          std::size_t item_count);

}  // namespace negpipe::ingest
