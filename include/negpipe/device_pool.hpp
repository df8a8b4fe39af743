// Device memory that is written on one stream and read on others, and conversions of its values. Needs no CUDA header.
//
// In builds without CUDA, and on machines without a device, the constructor throws backend_error with the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "negpipe/device_allocator.hpp"

namespace negpipe {

namespace detail {
struct device_pool_data;
struct device_block_data;
}  // namespace detail

/// Memory of a device_pool. Copies share it; thread-safe.
///
/// When the last copy is destroyed, the memory returns to the pool in stream order: after the work that was queued
/// until then to every stream that read it. The host waits for nothing. Blocks may outlive their pool.
class device_block {
 public:
  std::byte* data() const;

  /// Marks the end of the writing: what is queued to the pool's stream so far makes the content. Throws backend_error.
  void finish_writing() const;

  /// Makes a stream wait, on the device, for the content. Must be called before work that reads the block is queued to
  /// the stream. The stream must exist until the last copy of the block is destroyed. Throws backend_error.
  void lend_to(device_stream reader) const;

  /// Waits for the content, and copies out.size() bytes from offset on to host memory. Throws backend_error.
  void download(std::size_t offset, std::span<std::byte> out) const;

 private:
  friend class device_pool;
  explicit device_block(std::shared_ptr<detail::device_block_data> data) : data_(std::move(data)) {}
  std::shared_ptr<detail::device_block_data> data_;
};

/// Gives out device memory and takes it back without waiting. Copies share the pool; thread-safe.
class device_pool {
 public:
  /// Throws option_error for a device that does not exist, backend_error.
  explicit device_pool(int device = 0);

  int device() const;
  /// Returns the stream on which blocks are written. It does not synchronise with the legacy default stream.
  device_stream stream() const;
  /// Returns bytes > 0 of uninitialised memory, aligned to 256, for work queued to stream() from now on. Throws
  /// device_memory_error, backend_error.
  device_block take(std::size_t bytes) const;

 private:
  std::shared_ptr<detail::device_pool_data> data_;
};

/// Queues the conversion of values. from and to must be memory of the device, of equal sizes, and not overlap. May be
/// captured in a CUDA graph. Throws option_error for unequal sizes, backend_error.
void convert_async(std::span<const std::int8_t> from, std::span<float> to, int device, device_stream stream);
void convert_async(std::span<const std::int8_t> from, std::span<std::int64_t> to, int device, device_stream stream);
void convert_async(std::span<const std::int32_t> from, std::span<std::int64_t> to, int device, device_stream stream);
/// Queues a copy of bytes, under the same conditions.
void copy_async(std::span<const std::byte> from, std::span<std::byte> to, int device, device_stream stream);
/// Queues the addition of a number to all values, which are memory of the device.
void add_async(std::span<std::int32_t> values, std::int32_t added, int device, device_stream stream);
/// Queues the filling of memory of the device with zeros.
void zero_async(std::span<std::byte> to, int device, device_stream stream);

}  // namespace negpipe
