// Sorted rows from pairs that are on the device already.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device_dataset.hpp"
#include "memory.hpp"

namespace negpipe::cuda {

/// The rows of count pairs (users[i], items[i]) in device memory, in any order, repeated pairs once: the same as the
/// host builds of them. Ids are dense, users below user_count. heldout is taken over. Waits for the stream, because
/// the number of distinct pairs is known only then. Throws backend_error, device_memory_error.
device_rows rows_from_columns(const std::int32_t* users, const std::int32_t* items, std::size_t count,
                              std::int32_t user_count, device_buffer<std::int32_t> heldout, device_memory& memory,
                              cudaStream_t stream);

}  // namespace negpipe::cuda
