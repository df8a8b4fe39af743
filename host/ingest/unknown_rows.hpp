// Held-out rows whose user or item has no training row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "negpipe/ingest.hpp"
#include "ratings.hpp"

namespace negpipe::ingest {

/// Held-out rows of a common_split whose user or item has no training row. Rows come in chunks, each with all rows of
/// its users.
class unknown_rows {
 public:
  /// A chunk's rows and users over all: their numbers here are used for row i and user u.
  struct numbering {
    std::span<const std::uint64_t> rows = {};  ///< empty: positions
    std::size_t first_user = 0;
    std::size_t user_step = 1;

    std::uint64_t row(std::size_t i) const { return rows.empty() ? i : rows[i]; }
    std::int32_t user(std::size_t u) const { return static_cast<std::int32_t>(u * user_step + first_user); }
  };

  unknown_rows(std::size_t item_count, unknown_policy policy) : policy_(policy), items_(item_count, unseen) {}

  /// Notes the items with training rows. First for all chunks.
  void note_training(const rating_columns& columns, const std::vector<std::uint8_t>& kept);
  /// Drops a chunk's rows.
  void drop(const rating_columns& columns, std::size_t user_count, const numbering& numbers,
            std::vector<std::uint8_t>& kept);
  /// After all chunks: adds to the summary, or throws input_error for the first row with unknown_policy::error.
  void finish(const ratings& read, prepare_summary& summary);

 private:
  using first_rows = std::vector<std::pair<std::uint64_t, std::int32_t>>;  // of users or items

  static constexpr std::uint64_t unseen = ~std::uint64_t{0};
  static constexpr std::uint64_t known = unseen - 1;

  unknown_policy policy_;
  std::vector<std::uint64_t> items_;  // [item_count] unseen, known, or the first row that is dropped
  first_rows users_;                  // the first ones
  std::uint64_t user_count_ = 0;
  std::uint64_t row_count_ = 0;
  std::uint64_t first_row_ = unseen;
  bool first_has_known_user_ = false;
};

}  // namespace negpipe::ingest
