// Thrust on a stream, with scratch memory from our own source.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/system_error.h>

#include "check.hpp"
#include "memory.hpp"

namespace negpipe::cuda {

/// The allocator that Thrust takes scratch from.
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

/// Runs body, turning what Thrust throws into our own errors.
template <typename Body>
void with_thrust(const char* what, const Body& body) {
  try {
    body();
  } catch (const thrust::system_error& failure) {
    throw_cuda_error(static_cast<cudaError_t>(failure.code().value()), what);
  }
}

}  // namespace negpipe::cuda
