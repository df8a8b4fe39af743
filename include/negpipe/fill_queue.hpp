// Fills that run in the background, while the host works on earlier batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "negpipe/plan.hpp"

namespace negpipe {

/// The bytes of the columns of a fill, in the order of training_columns, pair_columns or evaluation_columns. Items are
/// of item_type_for(item_count); valid is there only with padding_policy::mask. Each column has exactly the bytes of
/// its values, at any alignment, such as those of a record.
using column_bytes = std::span<const std::span<std::byte>>;

/// Fills columns in host memory in the background, in order. For one thread; backend::make_queue makes it.
///
/// - push_* return at once if the columns are memory of backend::allocate_host; otherwise they may wait for the copy.
///   They write what the backend's fills of the same arguments write.
/// - The columns must not be used before pop() of their fill. They must outlive the queue, whose destructor waits.
/// - Throw option_error for a range or columns that do not fit, backend_error if the device fails. After a
///   backend_error the queue can only be destroyed.
class fill_queue {
 public:
  virtual ~fill_queue() = default;

  virtual void push_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first,
                             std::uint64_t count, column_bytes out) = 0;
  virtual void push_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first,
                          std::uint64_t count, column_bytes out) = 0;
  virtual void push_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                               column_bytes out) = 0;

  /// Waits for the oldest fill. One must have been pushed and not popped.
  virtual void pop() = 0;
};

}  // namespace negpipe
