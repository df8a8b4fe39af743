// The CPU backend with its tuning options. Programs call make_cpu_backend of negpipe/backend.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/positives.hpp"

namespace negpipe {

/// How work is divided. No option changes a byte.
struct cpu_backend_options {
  unsigned threads = 0;  ///< 0: one per core
  kernel_set kernels = supported_kernels().front();
  /// Sizes of the pieces that a thread takes, each at least 1: long enough for a kernel to alternate its two blocks
  /// many times, short enough for all threads to share a batch.
  std::uint64_t points_per_block = 16'384;
  std::uint64_t values_per_block = 65'536;  ///< evaluation values, rounded down to whole rows, at least one
  std::string note;                         ///< appended to description()
};

/// Throws io_error if the system cannot start the threads.
std::unique_ptr<backend> make_cpu_backend(const positives_index& index, const cpu_backend_options& options);

}  // namespace negpipe
