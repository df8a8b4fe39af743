// The CPU backend with its knobs; programs call make_cpu_backend of negpipe/backend.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/positives.hpp"

namespace negpipe {

/// How work is shared out. No option changes a byte.
struct cpu_backend_options {
  unsigned threads = 0;  ///< 0: one a core
  kernel_set kernels = supported_kernels().front();
  /// What a thread takes at a time, each at least 1: long enough for the two blocks of a kernel to take turns many
  /// times, short enough for a batch to be shared by all threads.
  std::uint64_t points_per_block = 16'384;
  std::uint64_t values_per_block = 65'536;  ///< of evaluation rows, rounded down to whole rows, at least one
  std::string note;                         ///< appended to description()
};

/// Throws io_error when the system gives fewer threads.
std::unique_ptr<backend> make_cpu_backend(const positives_index& index, const cpu_backend_options& options);

}  // namespace negpipe
