// Ceilings of the card. Measured in the same run as the figures that are compared with them.
#pragma once

#include <cstdint>

#include "memory.hpp"
#include "timing.hpp"

namespace negpipe::bench {

/// All are medians of several runs, timed by CUDA events. A copied byte counts twice, as read and as written.
double copy_bytes_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                             std::uint64_t bytes);

/// Independent reads of 32-byte sectors at random offsets, eight in flight per thread.
double random_sectors_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                                 std::uint64_t footprint_bytes);

/// Thread instructions issued by all multiprocessors: alternating 32-bit multiply-adds and exclusive ors, so that both
/// integer pipes are busy. A thread's loop has 64.
double instructions_per_second(const protocol& how, std::uint32_t loops, cuda::device_memory& memory,
                               cudaStream_t stream);

/// Copies from the device to pinned host memory.
double bus_bytes_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream, std::uint64_t bytes);

}  // namespace negpipe::bench
