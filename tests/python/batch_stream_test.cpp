// Batches made ahead by threads: order, failures, early ends, and memory that is held. Under the thread sanitizer too.
#include "batch_stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace negpipe::python {
namespace {

/// Batches of one number: epoch * 1000 + batch. Batch `broken` throws.
class number_maker final : public batch_maker {
 public:
  explicit number_maker(std::uint64_t batches, std::uint64_t broken = ~0ULL)
      : batch_maker(batches, {{"number", column_type::int64, {4}}}), broken_(broken) {}

  void make(std::uint32_t epoch, std::uint64_t batch, std::span<void* const> targets) const override {
    if (batch == broken_) throw std::runtime_error("broken");
    std::fill_n(static_cast<std::int64_t*>(targets[0]), 4, epoch * 1000 + static_cast<std::int64_t>(batch));
    ++made;
  }

  mutable std::atomic<int> made{0};

 private:
  std::uint64_t broken_;
};

std::int64_t number_in(const buffer_pool::block& block) {
  std::int64_t number = 0;
  std::memcpy(&number, block.get(), sizeof number);
  return number;
}

std::shared_ptr<buffer_pool> pool_for(const batch_maker& maker) {
  return std::make_shared<buffer_pool>(block_bytes(maker.columns()), 4);
}

std::vector<std::int64_t> numbers_in(batch_stream& stream) {
  std::vector<std::int64_t> numbers;
  while (const auto block = stream.next()) numbers.push_back(number_in(*block));
  return numbers;
}

TEST(batch_stream, delivers_every_batch_in_order_for_any_number_of_threads) {
  const auto maker = std::make_shared<number_maker>(50);
  for (const unsigned threads : {0U, 1U, 2U, 8U, 100U}) {
    batch_stream stream(maker, pool_for(*maker), {.epoch = 3, .first = 2, .step = 3}, threads);
    std::vector<std::int64_t> wanted;
    for (std::int64_t batch = 2; batch < 50; batch += 3) wanted.push_back(3000 + batch);
    EXPECT_EQ(numbers_in(stream), wanted) << threads;
    EXPECT_FALSE(stream.next().has_value());
  }
}

TEST(batch_stream, past_the_last_batch_delivers_nothing) {
  const auto maker = std::make_shared<number_maker>(5);
  for (const unsigned threads : {0U, 2U}) {
    batch_stream stream(maker, pool_for(*maker), {.first = 5}, threads);
    EXPECT_FALSE(stream.next().has_value());
  }
}

TEST(batch_stream, throws_a_failure_in_its_turn_and_goes_on) {
  const auto maker = std::make_shared<number_maker>(6, 3);
  for (const unsigned threads : {1U, 2U}) {
    batch_stream stream(maker, pool_for(*maker), {}, threads);
    for (std::int64_t batch = 0; batch < 3; ++batch) EXPECT_EQ(number_in(*stream.next()), batch);
    EXPECT_THROW(stream.next(), std::runtime_error);
    EXPECT_EQ(number_in(*stream.next()), 4);
  }
}

TEST(batch_stream, ends_its_threads_when_it_is_closed_early) {
  const auto maker = std::make_shared<number_maker>(1000);
  for (int repeat = 0; repeat < 50; ++repeat) {
    batch_stream stream(maker, pool_for(*maker), {}, 4);
    if (repeat % 2 == 0) {
      EXPECT_EQ(number_in(*stream.next()), 0);
    }
    stream.close();
    EXPECT_FALSE(stream.next().has_value());
  }
  EXPECT_LE(maker->made, 50 * 9);  // two a thread, and what was taken
}

TEST(batch_stream, gives_callers_at_the_same_time_one_batch_each) {
  const auto maker = std::make_shared<number_maker>(500);
  for (const unsigned threads : {0U, 1U, 3U}) {
    batch_stream stream(maker, pool_for(*maker), {}, threads);
    std::mutex mutex;
    std::multiset<std::int64_t> found;
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&] {
        const std::vector<std::int64_t> numbers = numbers_in(stream);
        const std::lock_guard lock(mutex);
        found.insert(numbers.begin(), numbers.end());
      });
    }
    for (std::thread& caller : callers) caller.join();
    std::multiset<std::int64_t> wanted;
    for (std::int64_t batch = 0; batch < 500; ++batch) wanted.insert(batch);
    EXPECT_EQ(found, wanted) << threads;
  }
}

/// Makes nothing before it is opened.
class gated_maker final : public batch_maker {
 public:
  gated_maker() : batch_maker(5, {{"number", column_type::int64, {4}}}) {}
  void make(std::uint32_t, std::uint64_t, std::span<void* const>) const override { gate.wait(false); }
  void open() {
    gate = true;
    gate.notify_all();
  }

  std::atomic<bool> gate = false;
};

TEST(batch_stream, close_ends_callers_that_wait) {
  const auto maker = std::make_shared<gated_maker>();
  batch_stream stream(maker, pool_for(*maker), {}, 1);
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] { EXPECT_FALSE(stream.next().has_value()); });
  }
  std::thread closer([&] { stream.close(); });
  for (std::thread& caller : callers) caller.join();
  maker->open();
  closer.join();
  EXPECT_FALSE(stream.next().has_value());
}

TEST(batch_stream, never_writes_to_a_block_that_is_held) {
  const auto maker = std::make_shared<number_maker>(200);
  const auto pool = pool_for(*maker);
  batch_stream stream(maker, pool, {}, 4);
  std::vector<buffer_pool::block> held;
  std::set<const std::byte*> addresses;
  while (auto block = stream.next()) {
    if (number_in(*block) % 3 == 0) {
      EXPECT_TRUE(addresses.insert(block->get()).second);
      held.push_back(std::move(*block));
    }
  }
  for (std::size_t i = 0; i < held.size(); ++i) EXPECT_EQ(number_in(held[i]), static_cast<std::int64_t>(3 * i));
}

TEST(buffer_pool, reuses_what_is_let_go_and_outlives_its_owner) {
  auto pool = std::make_shared<buffer_pool>(1000, 1);
  auto first = pool->take();
  const std::byte* address = first.get();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(address) % 128, 0U);
  first.reset();
  EXPECT_EQ(pool->take().get(), address);
  auto last = pool->take();
  pool.reset();
  last.get()[999] = std::byte{1};
}

}  // namespace
}  // namespace negpipe::python
