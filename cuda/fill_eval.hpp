// Evaluation rows into device memory that the caller owns. Byte for byte core::eval_item_at.
#pragma once

#include <cstdint>

#include "device_dataset.hpp"
#include "launch.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/core/evaluation.hpp"

namespace negpipe::cuda {

/// Writes evaluation rows [first_row, first_row + row_count), plan.row_length() values each, with their duplicate
/// masks, to columns in device memory. Rows past the last user are zeros. memory gives scratch, in the stream's
/// order, when negatives are drawn with replacement and a row is longer than a block sorts (see duplicate_masks.hpp);
/// then the call waits for the stream. Throws backend_error, device_memory_error.
void fill_evaluation_async(const core::evaluation_plan& plan, const device_view& data, std::uint64_t first_row,
                           std::uint64_t row_count, const evaluation_columns& columns, device_memory& memory,
                           cudaStream_t stream, unsigned block_size = default_block_size);

}  // namespace negpipe::cuda
