// Training points into device memory that the caller owns. Byte for byte core::point_at, whatever the range.
#pragma once

#include <cstdint>

#include "device_dataset.hpp"
#include "launch.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::cuda {

/// Where a replayable fill begins, read from device memory when it runs.
struct fill_cursor {
  std::uint64_t first;  ///< position within the cycle
  std::uint32_t cycle;
};

/// What a replayable fill derives from its cursor; scratch of the caller's, in device memory.
struct cursor_state {
  core::cycle_key key;
  std::uint64_t first;
};

/// Writes the points at positions [first, first + count) of the key's cycle to columns in device memory, each with
/// room for count values and aligned to its type (columns aligned to 16 bytes, with first a multiple of 4, are
/// written fastest). first + count <= plan.padded_count(). block_size: threads, a multiple of 32, at most 1024.
/// Allocates nothing and waits for nothing; may be captured in a graph. Throws backend_error.
void fill_training_async(const core::training_plan& plan, const core::cycle_key& key, const device_view& data,
                         std::uint64_t first, std::uint64_t count, const training_columns& columns,
                         cudaStream_t stream, unsigned block_size = default_block_size);

/// The same for a cursor that is read when the work runs: capture it once in a graph, then change the cursor and
/// replay. Positions past plan.padded_count() are not written. state is overwritten; a graph that is replayed while
/// it still runs needs a state of its own.
void fill_training_async(const core::training_plan& plan, const fill_cursor* cursor, cursor_state* state,
                         const device_view& data, std::uint64_t count, const training_columns& columns,
                         cudaStream_t stream, unsigned block_size = default_block_size);

}  // namespace negpipe::cuda
