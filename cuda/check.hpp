// Turns failed CUDA calls into typed errors that say what to do. For launches see launch.hpp.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

namespace negpipe::cuda {

/// Returns the meaning of a status and what to do.
std::string describe(cudaError_t status);

/// Returns true if the device or its context is lost: every later call of this process fails too.
bool is_sticky(cudaError_t status);

/// Throws device_memory_error, device_lost_error or backend_error, naming the call. Clears the runtime's last error.
[[noreturn]] void throw_cuda_error(cudaError_t status, const char* call);

/// Ignores a status, for destructors. Clears the runtime's last error, so that it does not surface at a later launch.
inline void ignore(cudaError_t status) noexcept {
  if (status != cudaSuccess) static_cast<void>(cudaGetLastError());
}

inline void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw_cuda_error(status, call);
}

}  // namespace negpipe::cuda

/// Checks a runtime call: NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
#define NEGPIPE_CUDA_CHECK(call) ::negpipe::cuda::check((call), #call)
