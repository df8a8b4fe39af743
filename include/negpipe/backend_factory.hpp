// The link between host and cuda: functions defined in cuda/cuda_backend.cu or in host/backend/no_cuda.cpp, never in
// both. Not installed: programs call make_backend and list_backends.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "negpipe/backend.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/positives.hpp"

namespace negpipe {

/// Returns whether the CUDA backend can be made on this machine; if not, why and what to do: built without CUDA, no
/// driver, no device. Does not throw if there is no device. Thread-safe.
backend_status cuda_status();

/// Makes the CUDA backend.
/// - device: "cuda" (the first device), "cuda:N" with a decimal N, or "cuda:all".
/// - weights: see make_backend. Fills throw option_error for plans with other weights.
/// - The host's part of the work runs in the calling threads. Keeps a copy of the index.
/// - Throws option_error if device N does not exist, backend_error with cuda_status().reason if there is none at all.
std::unique_ptr<backend> make_cuda_backend(std::string_view device, const positives_index& index,
                                           const std::vector<dataset_weights>& weights = {});

/// Memory that may hold a column.
enum class memory_space : std::uint8_t {
  host,     ///< pageable or pinned; also the answer for unknown pointers
  device,   ///< memory of one CUDA device
  managed,  ///< accessible from the host and every device
};

struct memory_location {
  memory_space space = memory_space::host;
  int device = 0;  ///< set for memory_space::device
};

/// Returns where a pointer points; host memory for null, and always in builds without CUDA. Never throws. Thread-safe.
memory_location memory_location_of(const void* pointer);

}  // namespace negpipe
