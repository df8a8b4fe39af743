// Kernel launches: grid sizes, and the status of the launch.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "check.hpp"

namespace negpipe::cuda {

inline constexpr unsigned default_block_size = 128;
inline constexpr unsigned max_block_size = 256;

/// Returns the number of blocks of a grid-stride loop: one per piece of work, at most 16 per multiprocessor of the
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

/// Where kernels are launched.
///
/// Checks the status of the launch (cudaLaunchKernelEx), not the runtime's last error: a pending error of the caller is
/// neither reported nor cleared.
struct launcher {
  cudaStream_t stream = nullptr;
  unsigned block_size = default_block_size;
  /// Loads kernels instead of launching them. With lazy loading, a kernel's first launch may allocate, which is not
  /// allowed during stream capture.
  bool load_only = false;

  /// what: for the error message, such as "launch of fill_points". Throws backend_error.
  template <typename... Parameters, typename... Arguments>
  void operator()(const char* what, void (*kernel)(Parameters...), dim3 grid, const Arguments&... arguments) const {
    if (load_only) {
      cudaFuncAttributes ignored{};
      check(cudaFuncGetAttributes(&ignored, reinterpret_cast<const void*>(kernel)), what);
      return;
    }
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = dim3(block_size);
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, arguments...), what);
  }
};

}  // namespace negpipe::cuda
