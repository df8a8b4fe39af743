#include "batch_stream.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "negpipe/error.hpp"

namespace negpipe::python {

namespace {

constexpr std::size_t column_alignment = 128;

/// Throws batch_memory_error for a size whose sum over the columns of a batch might overflow.
std::size_t padded_bytes(const column& column) {
  constexpr std::size_t max_bytes = std::size_t{1} << 48;  // more than processes can address
  if (column.count() > max_bytes / bytes_of(column.type)) {
    throw batch_memory_error("more than " + std::to_string(max_bytes));
  }
  return (column.bytes() + column_alignment - 1) / column_alignment * column_alignment;
}

}  // namespace

std::vector<std::size_t> column_offsets(const std::vector<column>& columns) {
  std::vector<std::size_t> offsets{0};
  for (const column& column : columns) offsets.push_back(offsets.back() + padded_bytes(column));
  return offsets;
}

std::size_t block_bytes(const std::vector<column>& columns) { return column_offsets(columns).back(); }

buffer_pool::block make_block(const batch_maker& maker, buffer_pool& pool, std::uint32_t epoch, std::uint64_t batch) {
  buffer_pool::block block = pool.take();
  std::vector<void*> targets;
  std::byte* memory = block.get();
  for (const column& column : maker.columns()) {
    targets.push_back(memory);
    memory += padded_bytes(column);
  }
  maker.make(epoch, batch, targets);
  return block;
}

/// Shared by the caller of next() and the threads. Batches are counted from 0 within the stream.
struct batch_stream::state {
  state(const batch_maker& made_by, buffer_pool& from, const stream_range& of, std::uint64_t batch_count,
        unsigned prefetch)
      : maker(made_by), pool(from), range(of), count(batch_count), slots(2ULL * prefetch) {
    try {
      for (unsigned i = 0; i < prefetch; ++i) workers.emplace_back([this] { work(); });
    } catch (const std::system_error& failure) {
      stop();
      throw io_error("cannot start thread " + std::to_string(workers.size() + 1) + " of " + std::to_string(prefetch) +
                     ": " + failure.code().message() + "; use a smaller prefetch, or raise the limit on processes");
    }
  }

  ~state() { stop(); }

  /// Ends a waiting next() and the threads, and returns their batches to the pool. Thread-safe.
  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    room.notify_all();
    ready.notify_all();
    {
      const std::lock_guard lock(joining);
      for (std::thread& worker : workers) {
        if (worker.joinable()) worker.join();
      }
    }
    const std::lock_guard lock(mutex);
    for (slot& unused : slots) unused = {};
  }

  struct slot {
    buffer_pool::block block;
    std::exception_ptr failure;
    bool is_ready = false;
  };

  slot& slot_of(std::uint64_t number) { return slots[number % slots.size()]; }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      room.wait(lock, [&] { return stopping || to_make == count || to_make < to_give + slots.size(); });
      if (stopping || to_make == count) return;
      const std::uint64_t number = to_make++;
      lock.unlock();
      slot made{.is_ready = true};
      try {
        made.block = make_block(maker, pool, range.epoch, range.first + number * range.step);
      } catch (...) {
        made.failure = std::current_exception();
      }
      lock.lock();
      slot_of(number) = std::move(made);
      ready.notify_one();
    }
  }

  std::optional<buffer_pool::block> next() {
    const std::lock_guard turn(giving);
    std::unique_lock lock(mutex);
    if (to_give == count) return std::nullopt;
    slot& wanted = slot_of(to_give);
    ready.wait(lock, [&] { return stopping || wanted.is_ready; });
    if (stopping) return std::nullopt;
    slot taken = std::move(wanted);
    wanted = {};
    ++to_give;
    lock.unlock();
    room.notify_one();
    if (taken.failure) std::rethrow_exception(taken.failure);
    return std::move(taken.block);
  }

  const batch_maker& maker;
  buffer_pool& pool;
  const stream_range range;
  const std::uint64_t count;
  std::mutex giving;   // held by next(): batches are delivered one after the other
  std::mutex joining;  // held while workers are joined
  std::mutex mutex;    // guards all members below except workers
  std::condition_variable room;
  std::condition_variable ready;
  std::vector<slot> slots;
  std::uint64_t to_make = 0;
  std::uint64_t to_give = 0;
  bool stopping = false;
  std::vector<std::thread> workers;
};

batch_stream::batch_stream(std::shared_ptr<const batch_maker> maker, std::shared_ptr<buffer_pool> pool,
                           const stream_range& range, unsigned prefetch)
    : maker_(std::move(maker)), pool_(std::move(pool)), range_(range), next_(range.first) {
  const std::uint64_t all = maker_->batch_count();
  const std::uint64_t left = range.first < all ? (all - range.first + range.step - 1) / range.step : 0;
  const auto threads = static_cast<unsigned>(std::min<std::uint64_t>(prefetch, left));
  if (threads != 0) ahead_ = std::make_unique<state>(*maker_, *pool_, range_, left, threads);
}

batch_stream::~batch_stream() { close(); }

std::optional<buffer_pool::block> batch_stream::next() {
  if (closed_) return std::nullopt;
  if (ahead_) {
    if (!belongs_to_this_process()) {
      throw fork_error("this process was forked while an epoch was being iterated, and the threads that make its "
                       "batches are not there; make a new iterator in the forked process");
    }
    return ahead_->next();
  }
  std::uint64_t number = next_;
  do {
    if (number >= maker_->batch_count()) return std::nullopt;
  } while (!next_.compare_exchange_weak(number, number + range_.step));
  return make_block(*maker_, *pool_, range_.epoch, number);
}

void batch_stream::close() noexcept {
  closed_ = true;
  if (!ahead_) return;
  // A forked process has no such threads, and their lock may stay locked, so nothing is touched.
  if (!belongs_to_this_process()) {
    static_cast<void>(ahead_.release());
    static_cast<void>(new std::shared_ptr(pool_));
    static_cast<void>(new std::shared_ptr(maker_));
    return;
  }
  ahead_->stop();
}

}  // namespace negpipe::python
