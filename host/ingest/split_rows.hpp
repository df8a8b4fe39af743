// Splits the rows of each user into training positives, validation items and test items.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "negpipe/ingest.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"
#include "user_rows.hpp"

namespace negpipe::ingest {

/// The set of a row in splits that do not look at the other rows of its user: by time, or by table.
class common_split {
 public:
  /// By time. Throws option_error for times that do not have the form of the column.
  common_split(const split_options& split, const ratings& read);
  /// By table: rows [0, validation_begin) are training rows, those from test_begin on are test rows.
  common_split(std::uint64_t validation_begin, std::uint64_t test_begin)
      : by_table_(true), begins_{validation_begin, test_begin} {}

  /// Fills columns.sets. rows: the numbers of the rows over all tables; empty: their positions.
  void assign(rating_columns& columns, std::span<const std::uint64_t> rows = {}) const;

  bool has_validation() const { return by_table_ ? begins_[0] != begins_[1] : times_[0] != times_[1]; }

 private:
  bool by_table_;
  std::array<std::uint64_t, 2> begins_{};  // of validation, test
  std::array<instant, 2> times_{};
};

/// Fills the offsets and items of all sets. common: the split, unless it is one within each user (options.split).
void split_rows(const rating_columns& columns, const user_rows& grouped, const prepare_options& options,
                const common_split* common, support::thread_pool& pool, dataset_arrays& arrays);

}  // namespace negpipe::ingest
