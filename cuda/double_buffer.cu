#include "double_buffer.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

constexpr std::uint64_t column_alignment_bytes = 256;
constexpr std::size_t max_columns = 4;

std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + column_alignment_bytes - 1) / column_alignment_bytes * column_alignment_bytes;
}

// Returns the offsets of the columns in a buffer that holds count values of each, and the end of the last one.
std::array<std::uint64_t, max_columns + 1> column_offsets(std::uint64_t count, std::span<const host_column> columns) {
  std::array<std::uint64_t, max_columns + 1> offsets{};
  for (std::size_t c = 0; c < columns.size(); ++c) {
    offsets[c + 1] = offsets[c] + aligned(count * columns[c].width_bytes);
  }
  return offsets;
}

// Returns the bytes of one value of every column.
std::uint64_t value_bytes(std::span<const host_column> columns) {
  std::uint64_t bytes = 0;
  for (const host_column& column : columns) bytes += column.width_bytes;
  return bytes;
}

bool are_page_locked(std::span<const host_column> columns) {
  return std::ranges::all_of(columns, [](const host_column& column) {
    cudaPointerAttributes found{};
    const cudaError_t status = cudaPointerGetAttributes(&found, column.values);
    ignore(status);
    return status == cudaSuccess && found.type == cudaMemoryTypeHost;
  });
}

std::byte* at(const host_column& column, std::uint64_t first) {
  return static_cast<std::byte*>(column.values) + first * column.width_bytes;
}

}  // namespace

double_buffer::double_buffer(std::size_t bytes, device_memory& memory) {
  for (half& buffer : halves_) {
    buffer.device = device_buffer<std::byte>(bytes, memory, buffer.work.get());
    buffer.pinned = pinned_buffer<std::byte>(bytes);
  }
}

std::size_t double_buffer::bytes_for(std::uint64_t unit, std::span<const host_column> columns) {
  return unit * value_bytes(columns) + columns.size() * column_alignment_bytes;
}

void double_buffer::run(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns,
                        const fill_function& fill, const copied_function& copied) {
  // Even after a failure, no work of this call may write to the buffers when they are used again.
  struct drain {
    const half* halves;
    ~drain() {
      for (int h = 0; h < 2; ++h) ignore(cudaStreamSynchronize(halves[h].work.get()));
    }
  } const at_end{halves_};

  const std::uint64_t usable_bytes = buffer_bytes() - columns.size() * column_alignment_bytes;
  const std::uint64_t length = usable_bytes / (value_bytes(columns) * unit) * unit;
  const std::uint64_t pieces = (count + length - 1) / length;
  const bool is_direct = are_page_locked(columns);
  for (half& buffer : halves_) buffer.is_direct = is_direct;
  for (std::uint64_t piece = 0; piece <= pieces; ++piece) {
    if (piece < pieces) {
      half& buffer = halves_[piece % 2];
      buffer.first = piece * length;
      buffer.count = std::min(length, count - buffer.first);
      start(buffer, columns, fill, copied);
    }
    if (piece > 0) finish(halves_[(piece - 1) % 2], columns);
  }
}

void double_buffer::start(half& buffer, std::span<const host_column> columns, const fill_function& fill,
                          const copied_function& copied) {
  const auto offsets = column_offsets(buffer.count, columns);
  std::array<std::byte*, max_columns> column{};
  for (std::size_t c = 0; c < columns.size(); ++c) column[c] = buffer.device.data() + offsets[c];
  fill(buffer.first, buffer.count, std::span(column.data(), columns.size()), buffer.work.get());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::byte* const to = buffer.is_direct ? at(columns[c], buffer.first) : buffer.pinned.data() + offsets[c];
    NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(to, column[c], buffer.count * columns[c].width_bytes, cudaMemcpyDeviceToHost,
                                       buffer.work.get()));
  }
  if (copied) copied(buffer.work.get());
  buffer.done.record(buffer.work.get());
}

void double_buffer::finish(half& buffer, std::span<const host_column> columns) {
  const nvtx_range range("negpipe copy out");
  buffer.done.synchronize();
  if (buffer.is_direct) return;
  const auto offsets = column_offsets(buffer.count, columns);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::memcpy(at(columns[c], buffer.first), buffer.pinned.data() + offsets[c],
                buffer.count * columns[c].width_bytes);
  }
}

}  // namespace negpipe::cuda
