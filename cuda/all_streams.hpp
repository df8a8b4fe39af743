// The work of all streams of a device, those of other libraries included.
#pragma once

#include <cuda_runtime_api.h>

namespace negpipe::cuda {

/// Makes a stream wait, on the device, for the work that all streams of the current device have so far. Where the
/// driver cannot record it, such as while a graph is captured, the host waits instead. For destructors: never throws.
void follow_all_streams(cudaStream_t stream) noexcept;

}  // namespace negpipe::cuda
