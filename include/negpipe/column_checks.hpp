// The checks that every backend makes before it fills columns. Shared by host and cuda; not installed.
#pragma once

#include <cstdint>

#include "negpipe/backend_factory.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/fill_queue.hpp"
#include "negpipe/plan.hpp"

namespace negpipe {

/// The counts of a backend's dataset.
struct dataset_counts {
  std::uint64_t positives;
  std::int32_t users;
  std::int32_t items;

  static dataset_counts of(const dataset& data) {
    return {data.positive_count(), data.user_count(), data.item_count()};
  }
};

/// Throws option_error, naming the field, unless
///   - plan and cycle key are of the pointwise layout and of a dataset with these counts, and [first, first + count)
///     lies in the cycle;
///   - each column has room for count values, is aligned to its type and lies in the wanted memory;
///   - items is wide enough for every item, and valid is given if the padding is mask.
void check_training_fill(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                         std::uint64_t first, std::uint64_t count, const training_columns& columns,
                         memory_location wanted);

/// Checks rows [first, first + count) of the pairwise layout in the same way.
void check_pair_fill(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                     std::uint64_t first, std::uint64_t count, const pair_columns& columns, memory_location wanted);

/// Checks rows [first_row, first_row + row_count) of evaluation data in the same way.
void check_evaluation_fill(const evaluation_plan& plan, const dataset_counts& counts, std::uint64_t first_row,
                           std::uint64_t row_count, const evaluation_columns& columns, memory_location wanted);

/// The same checks for the columns of a fill_queue, each of which must have exactly the bytes of its values. The memory
/// that they lie in is not checked.
void check_training_fill(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                         std::uint64_t first, std::uint64_t count, column_bytes columns);
void check_pair_fill(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                     std::uint64_t first, std::uint64_t count, column_bytes columns);
void check_evaluation_fill(const evaluation_plan& plan, const dataset_counts& counts, std::uint64_t first_row,
                           std::uint64_t row_count, column_bytes columns);

/// Returns the pointers of checked columns.
inline core::training_pointers pointers_of(const training_columns& columns) {
  return {columns.users.data(), columns.items.data(), columns.items.type(), columns.labels.data(),
          columns.valid.empty() ? nullptr : columns.valid.data()};
}
inline core::pair_pointers pointers_of(const pair_columns& columns) {
  return {columns.users.data(), columns.items.data(), columns.negatives.data(), columns.items.type(),
          columns.valid.empty() ? nullptr : columns.valid.data()};
}
inline core::evaluation_pointers pointers_of(const evaluation_columns& columns) {
  return {columns.users.data(), columns.items.data(), columns.items.type(), columns.duplicate_mask.data()};
}

}  // namespace negpipe
