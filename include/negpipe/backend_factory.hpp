// Where the host meets CUDA: functions that are defined either in cuda/cuda_backend.cu or in host/backend/no_cuda.cpp,
// never in both. Not installed: programs call make_backend and list_backends.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "negpipe/backend.hpp"
#include "negpipe/positives.hpp"

namespace negpipe {

/// Whether the CUDA backend can be made on this machine, and if not, why and what to do about it: built without
/// CUDA, no driver, no device. Never throws for lack of a device. Any thread.
backend_status cuda_status();

/// Makes the CUDA backend. device is "cuda" (the first device), "cuda:N" with a decimal N, or "cuda:all". The calling
/// threads do the host's part of the work. The backend keeps a copy of the index. Throws option_error for an N that
/// names no device, backend_error with cuda_status().reason when there is none at all.
std::unique_ptr<backend> make_cuda_backend(std::string_view device, const positives_index& index);

/// Memory that may hold a column.
enum class memory_space : std::uint8_t {
  host,     ///< pageable or pinned; what is not known is taken for it
  device,   ///< of one CUDA device
  managed,  ///< reached from the host and from every device
};

struct memory_location {
  memory_space space = memory_space::host;
  int device = 0;  ///< of memory_space::device
};

/// Where a pointer points. A null pointer is host memory. Builds without CUDA know host memory only. Never throws. Any
/// thread.
memory_location memory_location_of(const void* pointer);

}  // namespace negpipe
