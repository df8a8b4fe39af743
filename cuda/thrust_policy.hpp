// Runs Thrust on a stream, with scratch memory from a device_memory.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/system_error.h>

#include <exception>
#include <thread>

#include "check.hpp"
#include "memory.hpp"

namespace negpipe::cuda {

/// The allocator of Thrust's scratch memory.
class scratch_allocator {
 public:
  using value_type = char;

  scratch_allocator(device_memory& memory, cudaStream_t stream) : memory_(&memory), stream_(stream) {}

  char* allocate(std::ptrdiff_t bytes) {
    return static_cast<char*>(memory_->allocate(static_cast<std::size_t>(bytes), stream_));
  }
  void deallocate(char* pointer, std::size_t bytes) { memory_->deallocate(pointer, bytes, stream_); }

 private:
  device_memory* memory_;
  cudaStream_t stream_;
};

/// Runs body, waits for the stream, and turns Thrust's exceptions into negpipe's.
///
/// Thrust reports the runtime's last error as its own. If the caller has one pending, body runs in a separate thread,
/// because that error is per thread.
template <typename Body>
void with_thrust(const char* what, cudaStream_t stream, const Body& body) {
  const auto run = [&] {
    try {
      body();
    } catch (const thrust::system_error& failure) {
      throw_cuda_error(static_cast<cudaError_t>(failure.code().value()), what);
    }
    NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  };
  if (cudaPeekAtLastError() == cudaSuccess) return run();
  int device = 0;
  NEGPIPE_CUDA_CHECK(cudaGetDevice(&device));
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  std::exception_ptr failure;
  std::thread([&] {
    try {
      NEGPIPE_CUDA_CHECK(cudaSetDevice(device));
      run();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace negpipe::cuda
