// Rows of the pairwise layout in device memory, byte for byte equal to core::pair_at and core::pair_negative.
#pragma once

#include <cstdint>

#include "device_dataset.hpp"
#include "launch.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/core/pairwise.hpp"

namespace negpipe::cuda {

/// Queues rows [first, first + count) of the key's cycle.
/// - columns: device memory, aligned to their types, with room for count rows. Fastest if negatives is aligned to 16
///   bytes and plan.negatives is a multiple of 4.
/// - first + count <= plan.padded_count().
/// - on.block_size: a multiple of 32, at most max_block_size.
/// - Does not allocate or wait; may be captured. Throws backend_error.
void fill_pairs_async(const core::training_plan& plan, const core::cycle_key& key, const device_view& data,
                      std::uint64_t first, std::uint64_t count, const core::pair_pointers& columns,
                      const launcher& on);

}  // namespace negpipe::cuda
