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

/// Drops repeated pairs, then users with too few rows. With duplicate_policy::error the caller must refuse the file if
/// first_repeat is set.
row_selection select_rows(const rating_columns& columns, const user_rows& grouped, std::size_t item_count,
                          const prepare_options& options, support::thread_pool& pool);

/// Drops items with too few rows after select_rows(). With k_core drops users and items in turn until the remaining
/// ones have enough. Rows come in chunks, each with all rows of its users.
class item_filter {
 public:
  item_filter(std::size_t item_count, const prepare_options& options) : options_(options), rows_(item_count, 0) {}

  /// Counts the kept rows of a chunk. First for all chunks.
  void count(const rating_columns& columns, const std::vector<std::uint8_t>& kept);
  /// Starts a round, in which drop() must be called for all chunks.
  void begin_round();
  /// Drops rows of a chunk, and adds to the counts of the selection.
  void drop(const rating_columns& columns, std::size_t user_count, row_selection& selection);
  /// Returns whether another round is needed.
  bool is_unsettled() const { return dropped_users_; }

 private:
  const prepare_options& options_;
  std::vector<std::uint64_t> rows_;    // [item_count] kept rows
  std::vector<std::uint64_t> before_;  // the same at the start of the round
  bool dropped_users_ = false;
};

/// Old number of each new user and item.
struct renumbering {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
};
/// Removes the rows that are not kept, and renumbers users and items by first appearance in the others.
renumbering keep_selected(rating_columns& columns, const row_selection& selection, std::size_t user_count,
                          std::size_t item_count);

}  // namespace negpipe::ingest
