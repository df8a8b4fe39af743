// Owners of device and pinned memory. Device memory is stream-ordered: work queued to the stream after the allocation
// may use it, and it is freed in stream order.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "check.hpp"
#include "negpipe/device_allocator.hpp"

namespace negpipe::cuda {

/// A source of device memory. Thread-safe.
class device_memory {
 public:
  virtual ~device_memory() = default;
  /// Returns at least bytes > 0, aligned to 256. Throws device_memory_error.
  virtual void* allocate(std::size_t bytes, cudaStream_t stream) = 0;
  virtual void deallocate(void* pointer, std::size_t bytes, cudaStream_t stream) noexcept = 0;
  /// Returns cached memory to the device. Throws backend_error.
  virtual void release_unused() {}
};

/// Makes a pool of the current device's memory. It caches freed memory until it is destroyed or released, so repeated
/// allocations need no driver call. Falls back to plain allocations on devices without pools.
std::unique_ptr<device_memory> make_pool_memory();

/// Makes a source of plain allocations on the current device: each is a driver call, and each deallocation waits for
/// the device.
std::unique_ptr<device_memory> make_plain_memory();

/// Makes a source that uses the caller's allocator.
std::unique_ptr<device_memory> make_lent_memory(const device_allocator& allocator);

/// count uninitialised values of T in device memory. Move-only. The stream and the memory source must outlive it.
template <typename T>
class device_buffer {
 public:
  device_buffer() = default;
  device_buffer(std::size_t count, device_memory& memory, cudaStream_t stream)
      : count_(count), memory_(&memory), stream_(stream) {
    if (count_ != 0) data_ = static_cast<T*>(memory.allocate(size_bytes(), stream));
  }
  ~device_buffer() {
    if (data_ != nullptr) memory_->deallocate(data_, size_bytes(), stream_);
  }
  device_buffer(device_buffer&& other) noexcept { *this = std::move(other); }
  device_buffer& operator=(device_buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    std::swap(memory_, other.memory_);
    std::swap(stream_, other.stream_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }
  std::size_t size_bytes() const { return count_ * sizeof(T); }

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
  device_memory* memory_ = nullptr;
  cudaStream_t stream_ = nullptr;
};

/// count values of T in page-locked host memory, for fast copies. Move-only.
template <typename T>
class pinned_buffer {
 public:
  pinned_buffer() = default;
  explicit pinned_buffer(std::size_t count) : count_(count) {
    if (count_ != 0) NEGPIPE_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&data_), count_ * sizeof(T)));
  }
  ~pinned_buffer() {
    if (data_ != nullptr) ignore(cudaFreeHost(data_));
  }
  pinned_buffer(pinned_buffer&& other) noexcept { *this = std::move(other); }
  pinned_buffer& operator=(pinned_buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

/// Returns a device copy of host values. The host values may change once the stream has reached this point.
template <typename T>
device_buffer<T> upload_async(const T* values, std::size_t count, device_memory& memory, cudaStream_t stream) {
  device_buffer<T> buffer(count, memory, stream);
  if (count != 0) {
    NEGPIPE_CUDA_CHECK(
        cudaMemcpyAsync(buffer.data(), values, buffer.size_bytes(), cudaMemcpyHostToDevice, stream));
  }
  return buffer;
}

}  // namespace negpipe::cuda
