#include "overlap.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "fill_points.hpp"
#include "double_buffer.hpp"
#include "stream.hpp"

namespace negpipe::bench {

namespace {

using json = nlohmann::ordered_json;

struct piece {
  std::uint64_t count;
  cuda::event begin{true};
  cuda::event filled{true};
  cuda::event copied{true};
};

double milliseconds_between(const cuda::event& from, const cuda::event& to) {
  float milliseconds = 0;
  NEGPIPE_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, from.get(), to.get()));
  return milliseconds;
}

using interval = std::pair<double, double>;

// Returns the length of the union.
double covered(std::vector<interval> intervals) {
  std::ranges::sort(intervals);
  double length = 0;
  double end = 0;
  for (const auto& [from, to] : intervals) {
    length += std::max(0.0, to - std::max(from, end));
    end = std::max(end, to);
  }
  return length;
}

core::training_pointers columns_at(std::span<std::byte* const> column, item_type width) {
  return {reinterpret_cast<std::int32_t*>(column[0]), column[1], width, reinterpret_cast<std::int8_t*>(column[2]),
          nullptr};
}

// Returns the kernel's time for count points, without concurrent copies.
double kernel_milliseconds(const protocol& how, const core::training_plan& plan, const core::cycle_key& key,
                           const cuda::device_view& data, std::uint64_t count, cuda::device_memory& memory) {
  const cuda::stream stream;
  const item_type width = item_type_for(data.item_count);
  cuda::device_buffer<std::byte> users(count * 4, memory, stream.get());
  cuda::device_buffer<std::byte> items(count * item_bytes(width), memory, stream.get());
  cuda::device_buffer<std::byte> labels(count, memory, stream.get());
  const std::array<std::byte*, 3> column{users.data(), items.data(), labels.data()};
  const timing alone = time_on_device(how, memory, stream.get(), [&](int) {
    cuda::fill_training_async(plan, key, data, 0, count, columns_at(column, width), {stream.get()});
  });
  return 1e3 * alone.median_seconds;
}

// Returns the shares of the time line, and its first pieces.
json describe(const std::vector<piece>& pieces, std::uint64_t count, double piece_milliseconds) {
  std::vector<interval> kernels;
  std::vector<interval> copies;
  json first_pieces = json::array();
  for (const piece& p : pieces) {
    const double given = milliseconds_between(pieces.front().begin, p.begin);
    const double filled = milliseconds_between(pieces.front().begin, p.filled);
    const double copied = milliseconds_between(pieces.front().begin, p.copied);
    const double alone = piece_milliseconds * static_cast<double>(p.count) / static_cast<double>(pieces.front().count);
    // An idle stream records the begin at once, before the host launches the kernel.
    const double begin = std::max(given, filled - alone);
    kernels.emplace_back(begin, filled);
    copies.emplace_back(filled, copied);
    if (first_pieces.size() < 12) first_pieces.push_back({begin, filled, copied});
  }
  const double total = std::max(milliseconds_between(pieces.front().begin, pieces.back().copied), 1e-6);
  std::vector<interval> all = kernels;
  all.insert(all.end(), copies.begin(), copies.end());
  return {{"points", count},
          {"points_per_second", static_cast<double>(count) / (total / 1e3)},
          {"computing_share", covered(kernels) / total},
          {"copying_share", covered(copies) / total},
          {"idle_share", 1 - covered(all) / total},
          {"first_pieces_milliseconds", first_pieces}};
}

}  // namespace

json time_way_out(const protocol& how, const core::training_plan& plan, const core::cycle_key& key,
                  const cuda::device_view& data, std::uint64_t count, std::size_t buffer_bytes,
                  cuda::device_memory& memory) {
  const item_type width = item_type_for(data.item_count);
  std::vector<std::int32_t> users(count);
  std::vector<std::byte> items(count * item_bytes(width));
  std::vector<std::int8_t> labels(count);
  const std::array<cuda::host_column, 3> columns{
      {{users.data(), 4}, {items.data(), item_bytes(width)}, {labels.data(), 1}}};
  cuda::double_buffer buffers(buffer_bytes, memory);

  std::vector<piece> pieces;
  const auto run = [&] {
    pieces.clear();
    buffers.run(
        count, 4, columns,
        [&](std::uint64_t first, std::uint64_t length, std::span<std::byte* const> column, cudaStream_t stream) {
          pieces.push_back({.count = length});
          pieces.back().begin.record(stream);
          cuda::fill_training_async(plan, key, data, first, length, columns_at(column, width), {stream});
          pieces.back().filled.record(stream);
        },
        [&](cudaStream_t stream) { pieces.back().copied.record(stream); });
  };
  run();  // warm-up
  run();
  return describe(pieces, count, kernel_milliseconds(how, plan, key, data, pieces.front().count, memory));
}

}  // namespace negpipe::bench
