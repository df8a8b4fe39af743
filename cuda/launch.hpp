// Sizes of launches: blocks enough to fill the device, each striding over the rest.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

#include "check.hpp"

namespace negpipe::cuda {

inline constexpr unsigned default_block_size = 128;
inline constexpr unsigned max_block_size = 256;

/// Blocks for a grid-stride loop: one for each of block_count pieces of work, at most 16 a multiprocessor of the
/// current device.
inline unsigned grid_for(std::uint64_t block_count) {
  constexpr std::uint64_t blocks_per_multiprocessor = 16;
  int device = 0;
  int multiprocessors = 0;
  NEGPIPE_CUDA_CHECK(cudaGetDevice(&device));
  NEGPIPE_CUDA_CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device));
  return static_cast<unsigned>(
      std::min(block_count, blocks_per_multiprocessor * static_cast<std::uint64_t>(multiprocessors)));
}

}  // namespace negpipe::cuda
