// A calling thread's way through a device: two buffers, each with a stream, that take turns, so that one is filled
// while the other is copied out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "memory.hpp"
#include "stream.hpp"

namespace negpipe::cuda {

/// A column of a buffer: where its values go on the host, and how wide they are.
struct host_column {
  void* values;
  std::uint64_t width_bytes;
};

/// Used by one thread at a time.
class transfer_lane {
 public:
  /// bytes: of each of the two buffers, on the device and pinned on the host.
  transfer_lane(std::size_t bytes, device_memory& memory);

  /// Writes values [first, first + count) of the columns by work given to the stream. Column c begins at column[c] in
  /// device memory, aligned to 256 bytes.
  using fill_function = std::function<void(std::uint64_t first, std::uint64_t count, std::span<std::byte* const> column,
                                           cudaStream_t stream)>;

  /// Called when the copies of a piece have been given to its stream: for those who note the time there.
  using copied_function = std::function<void(cudaStream_t stream)>;

  /// Makes count values by fill and copies them to the host columns, in pieces of a multiple of unit values. Returns
  /// when all are there. The columns of one unit must fit a buffer.
  void run(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns, const fill_function& fill,
           const copied_function& copied = {});

  /// The size of each buffer.
  std::size_t buffer_bytes() const { return halves_[0].pinned.size(); }
  /// The least size that holds one unit of these columns.
  static std::size_t bytes_for(std::uint64_t unit, std::span<const host_column> columns);

 private:
  struct half {
    stream work;  // first, so that it outlives the memory that goes back in its order
    device_buffer<std::byte> device;
    pinned_buffer<std::byte> pinned;
    event done;
    std::uint64_t first = 0;
    std::uint64_t count = 0;
  };

  void start(half& buffer, std::span<const host_column> columns, const fill_function& fill,
             const copied_function& copied);
  void finish(half& buffer, std::span<const host_column> columns);

  half halves_[2];
};

}  // namespace negpipe::cuda
