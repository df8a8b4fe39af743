// CUDA streams and allocators of the caller, without CUDA headers.
#pragma once

#include <cstddef>

struct CUstream_st;  // CUDA's: cudaStream_t and CUstream are pointers to it

namespace negpipe {

/// A CUDA stream; cudaStream_t converts implicitly. Null is the legacy default stream.
using device_stream = CUstream_st*;

/// An allocator of the caller, such as PyTorch's caching allocator or an RMM resource. Called by constructors,
/// make_replay and destructors of device_sampler only, with its device current.
struct device_allocator {
  void* context = nullptr;
  /// Returns at least bytes > 0 of device memory, aligned to 256, for work that is queued to the stream from now on;
  /// null if there is no memory. Null: the sampler has a memory pool of its own.
  void* (*allocate)(void* context, std::size_t bytes, device_stream stream) = nullptr;
  /// Takes memory back in the stream's order.
  void (*deallocate)(void* context, void* pointer, std::size_t bytes, device_stream stream) noexcept = nullptr;
};

}  // namespace negpipe
