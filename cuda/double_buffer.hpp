// A double buffer: one half is filled on the device while the other is copied to the host.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "memory.hpp"
#include "stream.hpp"

namespace negpipe::cuda {

/// Destination of a column on the host, and the width of its values.
struct host_column {
  void* values;
  std::uint64_t width_bytes;
};

/// Fills host columns on a device, piece by piece, and copies them out. Not thread-safe.
class double_buffer {
 public:
  /// bytes: size of each of the two buffers on the device. Pinned ones of that size on the host are made when columns
  /// need them.
  double_buffer(std::size_t bytes, device_memory& memory);

  /// Queues work that writes values [first, first + count) of the columns. column[c] points to column c in device
  /// memory, aligned to 256 bytes.
  using fill_function = std::function<void(std::uint64_t first, std::uint64_t count, std::span<std::byte* const> column,
                                           cudaStream_t stream)>;

  /// Called after the copies of a piece are queued to its stream, so that a benchmark can record an event.
  using copied_function = std::function<void(cudaStream_t stream)>;

  /// Fills count values and copies them to the host columns, in pieces of a multiple of unit values. Waits for all of
  /// them. One unit of all columns must fit a buffer. If all columns are page-locked, the device writes to them
  /// directly; otherwise through the pinned buffers.
  void run(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns, const fill_function& fill,
           const copied_function& copied = {});

  /// Queues the same without waiting; the device writes to the columns directly. Calls take turns with the two halves,
  /// so the copies of one overlap the kernels of the next.
  void queue(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns, const fill_function& fill,
             const copied_function& copied = {});
  /// Records that all work queued so far is done.
  void record(std::array<event, 2>& done) const;
  /// Waits for all queued work, and ignores its failure.
  void drain() const noexcept;

  /// Returns the size of each buffer on the device.
  std::size_t buffer_bytes() const { return halves_[0].device.size(); }
  /// Returns the smallest size that holds count values of these columns.
  static std::size_t bytes_for(std::uint64_t count, std::span<const host_column> columns);

 private:
  struct half {
    stream work;  // first, so that it outlives the memory freed in its order
    device_buffer<std::byte> device;
    pinned_buffer<std::byte> pinned;
    event done;
    std::uint64_t first = 0;
    std::uint64_t count = 0;
  };

  std::uint64_t piece_length(std::uint64_t unit, std::span<const host_column> columns) const;
  void run_through_pinned(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns,
                          const fill_function& fill, const copied_function& copied);
  void start(half& buffer, bool is_direct, std::span<const host_column> columns, const fill_function& fill,
             const copied_function& copied);
  void finish(half& buffer, std::span<const host_column> columns);

  half halves_[2];
  std::size_t next_ = 0;  ///< the half of the next queued piece
};

}  // namespace negpipe::cuda
