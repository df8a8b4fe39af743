// The caller's CUDA streams and allocators, without CUDA headers.
#pragma once

#include <cstddef>

struct CUstream_st;  // declared by CUDA: cudaStream_t and CUstream point to it

namespace negpipe {

/// A CUDA stream; cudaStream_t converts implicitly. Null is the legacy default stream.
using device_stream = CUstream_st*;

/// The caller's allocator, such as PyTorch's caching allocator or an RMM resource. Called only by constructors,
/// make_replay and destructors of device_sampler, with its device current.
struct device_allocator {
  void* context = nullptr;
  /// Returns bytes > 0 of device memory, aligned to 256, for work queued to the stream from now on; null if there is
  /// not enough. Left null, the sampler uses its own memory pool.
  void* (*allocate)(void* context, std::size_t bytes, device_stream stream) = nullptr;
  /// Frees memory in stream order.
  void (*deallocate)(void* context, void* pointer, std::size_t bytes, device_stream stream) noexcept = nullptr;
};

}  // namespace negpipe
