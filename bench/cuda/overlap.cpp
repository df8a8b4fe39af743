#include "overlap.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "fill_points.hpp"
#include "double_buffer.hpp"
#include "negpipe/error.hpp"
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

// Columns of one batch for a calling thread.
class host_columns {
 public:
  host_columns(const backend& filler, std::uint64_t count, item_type width, bool page_locked)
      : count_(count), width_(width) {
    const auto allocate = [&](std::size_t bytes) {
      return page_locked ? filler.allocate_host(bytes) : std::shared_ptr<std::byte[]>(new std::byte[bytes]);
    };
    users_ = allocate(count * 4);
    items_ = allocate(count * item_bytes(width));
    labels_ = allocate(count);
  }

  training_columns columns() const {
    return {{reinterpret_cast<std::int32_t*>(users_.get()), count_},
            {items_.get(), width_, count_},
            {reinterpret_cast<std::int8_t*>(labels_.get()), count_},
            {}};
  }

 private:
  std::uint64_t count_;
  item_type width_;
  std::shared_ptr<std::byte[]> users_;
  std::shared_ptr<std::byte[]> items_;
  std::shared_ptr<std::byte[]> labels_;
};

void check_equal(const training_columns& found, const training_columns& wanted) {
  if (std::ranges::equal(found.users, wanted.users) && std::ranges::equal(found.labels, wanted.labels) &&
      std::memcmp(found.items.data(), wanted.items.data(), wanted.items.size_bytes()) == 0) {
    return;
  }
  throw backend_error("the first batch in host memory differs; nothing is measured");
}

}  // namespace

json time_calls(const backend& filler, const backend& expected, const training_plan& plan, item_type width,
                unsigned threads, bool page_locked, std::uint64_t batches) {
  const core::cycle_key key = make_cycle_key(plan, 0);
  std::vector<host_columns> columns;
  for (unsigned t = 0; t < threads; ++t) columns.emplace_back(filler, plan.batch_size, width, page_locked);
  const host_columns wanted(expected, plan.batch_size, width, false);
  expected.fill_training(plan, key, 0, plan.batch_size, wanted.columns());
  std::atomic<std::uint64_t> next{0};
  const auto work = [&](unsigned thread) {
    for (std::uint64_t batch = next++; batch < batches; batch = next++) {
      filler.fill_training(plan, key, batch % plan.batch_count * plan.batch_size, plan.batch_size,
                           columns[thread].columns());
    }
  };
  const auto run = [&] {
    next = 0;
    std::vector<std::future<void>> others;
    for (unsigned t = 1; t < threads; ++t) others.push_back(std::async(std::launch::async, work, t));
    work(0);
    for (std::future<void>& other : others) other.get();
  };
  for (const host_columns& own : columns) {  // also allocates the buffers of each thread
    filler.fill_training(plan, key, 0, plan.batch_size, own.columns());
    check_equal(own.columns(), wanted.columns());
  }
  run();
  const auto begin = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return {{"threads", threads},
          {"page_locked", page_locked},
          {"points_per_second", static_cast<double>(batches * plan.batch_size) / seconds.count()}};
}

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
