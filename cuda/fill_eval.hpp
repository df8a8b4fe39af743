// Evaluation rows in device memory, byte for byte equal to core::write_row.
#pragma once

#include <cstdint>

#include "device_dataset.hpp"
#include "launch.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/core/evaluation.hpp"

namespace negpipe::cuda {

/// Returns the workspace bytes for batches of row_count rows on the current device: 0 unless negatives are drawn with
/// replacement and a row is longer than a block sorts (see duplicate_masks.hpp).
std::uint64_t evaluation_workspace_bytes(const core::evaluation_plan& plan, const device_view& data,
                                         std::uint64_t row_count);

/// Queues evaluation rows [first_row, first_row + row_count), plan.row_length() values each, and their duplicate masks.
/// Rows past the last user are zeros. The plan's weights, if it has some, are in device memory.
/// - columns: device memory.
/// - workspace: device memory of evaluation_workspace_bytes(plan, data, row_count), not used by concurrent work; null
///   if that is 0.
/// - Does not allocate or wait; may be captured. Throws backend_error.
void fill_evaluation_async(const core::evaluation_plan& plan, const device_view& data, std::uint64_t first_row,
                           std::uint64_t row_count, const core::evaluation_pointers& columns, void* workspace,
                           const launcher& on);

}  // namespace negpipe::cuda
