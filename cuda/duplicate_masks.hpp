// Duplicate masks of rows in device memory.
#pragma once

#include <cstdint>

#include "launch.hpp"
#include "negpipe/core/columns.hpp"

namespace negpipe::cuda {

/// Rows up to this length are sorted by a block in shared memory. For longer rows, a block stores the columns of the
/// items in its table in device memory.
inline constexpr std::uint64_t longest_block_row = 4096;

/// Returns the workspace bytes of mark_duplicates_async on the current device. For rows longer than longest_block_row:
/// one table of item_count values per block, and as many blocks as fit 64 MiB, at least one; else 0.
std::uint64_t duplicate_workspace_bytes(std::int32_t item_count, std::uint64_t row_count, std::uint64_t row_length);

/// Queues the duplicate masks of row_count rows: 1 where the item occurred earlier in its row.
/// - items: row_count * row_length values in [0, item_count), of the given width, in device memory.
/// - mask: row_count * row_length values.
/// - workspace: duplicate_workspace_bytes of device memory; null if that is 0.
/// - Deterministic. Throws backend_error.
void mark_duplicates_async(const void* items, item_type width, std::int32_t item_count, std::uint64_t row_count,
                           std::uint64_t row_length, std::int8_t* mask, void* workspace, const launcher& on);

}  // namespace negpipe::cuda
