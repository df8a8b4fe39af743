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
  for (half& buffer : halves_) buffer.device = device_buffer<std::byte>(bytes, memory, buffer.work.get());
}

std::size_t double_buffer::bytes_for(std::uint64_t count, std::span<const host_column> columns) {
  return count * value_bytes(columns) + columns.size() * column_alignment_bytes;
}

std::uint64_t double_buffer::piece_length(std::uint64_t unit, std::span<const host_column> columns) const {
  const std::uint64_t usable_bytes = buffer_bytes() - columns.size() * column_alignment_bytes;
  return usable_bytes / (value_bytes(columns) * unit) * unit;
}

void double_buffer::run(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns,
                        const fill_function& fill, const copied_function& copied) {
  // Even after a failure, no work of this call may write to the buffers or columns when they are used again.
  struct drain_at_end {
    const double_buffer& buffers;
    ~drain_at_end() { buffers.drain(); }
  } const at_end{*this};

  if (!are_page_locked(columns)) return run_through_pinned(count, unit, columns, fill, copied);
  queue(count, unit, columns, fill, copied);
  for (const half& buffer : halves_) buffer.work.synchronize();
}

void double_buffer::run_through_pinned(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns,
                                       const fill_function& fill, const copied_function& copied) {
  for (half& buffer : halves_) {
    if (buffer.pinned.size() == 0) buffer.pinned = pinned_buffer<std::byte>(buffer_bytes());
  }
  const std::uint64_t length = piece_length(unit, columns);
  const std::uint64_t pieces = (count + length - 1) / length;
  for (std::uint64_t piece = 0; piece <= pieces; ++piece) {
    if (piece < pieces) {
      half& buffer = halves_[piece % 2];
      buffer.first = piece * length;
      buffer.count = std::min(length, count - buffer.first);
      start(buffer, false, columns, fill, copied);
    }
    if (piece > 0) finish(halves_[(piece - 1) % 2], columns);
  }
}

void double_buffer::queue(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns,
                          const fill_function& fill, const copied_function& copied) {
  const std::uint64_t length = piece_length(unit, columns);
  for (std::uint64_t first = 0; first < count; first += length) {
    half& buffer = halves_[next_];
    next_ = (next_ + 1) % 2;
    buffer.first = first;
    buffer.count = std::min(length, count - first);
    start(buffer, true, columns, fill, copied);
  }
}

void double_buffer::record(std::array<event, 2>& done) const {
  for (std::size_t h = 0; h < done.size(); ++h) done[h].record(halves_[h].work.get());
}

void double_buffer::drain() const noexcept {
  for (const half& buffer : halves_) ignore(cudaStreamSynchronize(buffer.work.get()));
}

void double_buffer::start(half& buffer, bool is_direct, std::span<const host_column> columns, const fill_function& fill,
                          const copied_function& copied) {
  const auto offsets = column_offsets(buffer.count, columns);
  std::array<std::byte*, max_columns> column{};
  for (std::size_t c = 0; c < columns.size(); ++c) column[c] = buffer.device.data() + offsets[c];
  fill(buffer.first, buffer.count, std::span(column.data(), columns.size()), buffer.work.get());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::byte* const to = is_direct ? at(columns[c], buffer.first) : buffer.pinned.data() + offsets[c];
    NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(to, column[c], buffer.count * columns[c].width_bytes, cudaMemcpyDeviceToHost,
                                       buffer.work.get()));
  }
  if (copied) copied(buffer.work.get());
  if (!is_direct) buffer.done.record(buffer.work.get());
}

void double_buffer::finish(half& buffer, std::span<const host_column> columns) {
  const nvtx_range range("negpipe copy out");
  buffer.done.synchronize();
  const auto offsets = column_offsets(buffer.count, columns);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::memcpy(at(columns[c], buffer.first), buffer.pinned.data() + offsets[c],
                buffer.count * columns[c].width_bytes);
  }
}

}  // namespace negpipe::cuda
