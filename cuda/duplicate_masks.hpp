// Duplicate masks of rows in device memory, by sorting: 1 where an item stood earlier in its row.
#pragma once

#include <cstdint>

#include "memory.hpp"
#include "negpipe/batch.hpp"

namespace negpipe::cuda {

/// Rows up to this length are sorted by a block in shared memory; longer ones by segments in device memory.
inline constexpr std::uint64_t longest_block_row = 4096;

/// items: row_count rows of row_length values in [0, item_count), of the given width; mask has a value for each.
/// Sorts by integer keys and stably, so the earliest of equal items is the first. Rows longer than longest_block_row
/// take scratch from memory and wait for the stream. Throws backend_error, device_memory_error.
void mark_duplicates_async(const void* items, item_type width, std::int32_t item_count, std::uint64_t row_count,
                           std::uint64_t row_length, std::int8_t* mask, device_memory& memory, cudaStream_t stream);

}  // namespace negpipe::cuda
