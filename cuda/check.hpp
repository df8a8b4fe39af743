// Every CUDA call and every launch goes through these: a failure becomes a typed error that says what to do.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

namespace negpipe::cuda {

/// What a status means for the person at the other end, and what to do.
std::string describe(cudaError_t status);

/// Whether the status says that the device or its context is lost: every later call in this process fails too.
bool is_sticky(cudaError_t status);

/// Throws device_memory_error, device_lost_error or backend_error, naming the call. Clears the runtime's last error.
[[noreturn]] void throw_cuda_error(cudaError_t status, const char* call);

/// For destructors, which cannot report: what failed there must not surface at somebody's next launch.
inline void ignore(cudaError_t status) noexcept {
  if (status != cudaSuccess) static_cast<void>(cudaGetLastError());
}

inline void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw_cuda_error(status, call);
}

}  // namespace negpipe::cuda

/// Checks a runtime call: NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
#define NEGPIPE_CUDA_CHECK(call) ::negpipe::cuda::check((call), #call)

/// Checks that the launch just made was accepted: NEGPIPE_CUDA_CHECK_LAUNCH("fill_points");
#define NEGPIPE_CUDA_CHECK_LAUNCH(kernel) ::negpipe::cuda::check(cudaGetLastError(), "launch of " kernel)
