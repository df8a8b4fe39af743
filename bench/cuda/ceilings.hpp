// Ceilings of the card, measured in the same run as the figures that are compared with them.
#pragma once

#include <cstdint>

#include "memory.hpp"
#include "timing.hpp"

namespace negpipe::bench {

/// All by CUDA events, the median of several runs. Bytes read and bytes written both count.
double copy_bytes_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                             std::uint64_t bytes);

/// Independent reads of 32-byte sectors at random offsets in a footprint, eight in flight per thread.
double random_sectors_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                                 std::uint64_t footprint_bytes);

/// Thread instructions issued by all multiprocessors, 32-bit multiply-and-adds and exclusive ors in turn, so that both
/// integer pipes are busy; each loop of a thread has 64.
double instructions_per_second(const protocol& how, std::uint32_t loops, cuda::device_memory& memory,
                               cudaStream_t stream);

/// From the device to pinned host memory.
double bus_bytes_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream, std::uint64_t bytes);

}  // namespace negpipe::bench
