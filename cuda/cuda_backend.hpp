// The CUDA backend with its tuning options. Programs and host/ use backend_factory.hpp.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "launch.hpp"
#include "membership.hpp"
#include "negpipe/backend.hpp"

namespace negpipe::cuda {

struct cuda_backend_options {
  membership_form form = membership_form::automatic;
  unsigned block_size = default_block_size;  ///< threads, a multiple of 32 up to max_block_size
  /// Size of each of a calling thread's two buffers on the device and, pinned, on the host: about half a million
  /// training points, enough for copies at full bus speed.
  std::size_t buffer_bytes = 4U << 20;
};

/// Makes a backend that fills host columns with the given devices, at least one. Concurrent calls are distributed over
/// them. weights: see make_backend. Throws backend_error, device_memory_error.
std::unique_ptr<backend> make_backend_on(const std::vector<int>& devices, const positives_index& index,
                                         const cuda_backend_options& options = {},
                                         const std::vector<dataset_weights>& weights = {});

}  // namespace negpipe::cuda
