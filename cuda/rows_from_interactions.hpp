// Sorted rows from interactions in device memory.
#pragma once

#include "device_dataset.hpp"
#include "memory.hpp"
#include "negpipe/device.hpp"

namespace negpipe::cuda {

/// Builds the rows and held-out items of interactions in device memory; see device_sampler's constructor. Copies what
/// it keeps, and waits for the stream.
/// - Throws option_error for an id out of range, a user without a row to hold out, and interactions that leave no
///   training positive; backend_error, device_memory_error.
device_rows rows_from_interactions(const device_interactions& data, device_memory& memory, cudaStream_t stream);

}  // namespace negpipe::cuda
