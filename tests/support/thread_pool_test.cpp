// Thread pool: runs every block once, rethrows the first exception, fails if the system gives fewer threads.
#include "thread_pool.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "negpipe/error.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe::support {
namespace {

std::vector<unsigned> thread_counts() { return {1, 2, 5}; }

TEST(thread_pool, runs_every_block_once) {
  for (const unsigned threads : thread_counts()) {
    thread_pool pool(threads);
    EXPECT_EQ(pool.thread_count(), threads);
    for (const std::uint64_t count : {0U, 1U, 2U, 7U, 1000U}) {
      std::vector<std::atomic<int>> runs(count);
      pool.for_each(count, [&](std::uint64_t block) { ++runs[block]; });
      for (const auto& times : runs) EXPECT_EQ(times, 1) << threads << " threads, " << count << " blocks";
    }
  }
}

TEST(thread_pool, rethrows_an_exception_and_starts_no_further_block) {
  for (const unsigned threads : thread_counts()) {
    thread_pool pool(threads);
    std::atomic<std::uint64_t> begun{0};
    try {
      pool.for_each(1'000'000, [&](std::uint64_t block) {
        ++begun;
        if (block == 3) throw std::runtime_error("block 3");
      });
      ADD_FAILURE() << "nothing was thrown with " << threads << " threads";
    } catch (const std::runtime_error& failure) {
      EXPECT_STREQ(failure.what(), "block 3");
    }
    EXPECT_LT(begun, 1'000'000U);
    // The pool still works.
    std::atomic<std::uint64_t> sum{0};
    pool.for_each(100, [&](std::uint64_t block) { sum += block; });
    EXPECT_EQ(sum, 4950U);
  }
}

TEST(thread_pool, rethrows_one_of_many_exceptions) {
  thread_pool pool(5);
  for (int repeat = 0; repeat < 100; ++repeat) {
    EXPECT_THROW(pool.for_each(50, [](std::uint64_t block) { throw std::out_of_range(std::to_string(block)); }),
                 std::out_of_range);
  }
}

TEST(thread_pool, runs_loops_of_several_callers_in_turn) {
  thread_pool pool(3);
  std::atomic<std::uint64_t> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 50; ++repeat) pool.for_each(20, [&](std::uint64_t block) { sum += block; });
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(sum, 4U * 50 * 190);
}

// Runs in a child process whose limited address space is too small for the threads' stacks.
TEST(thread_pool, throws_if_the_system_starts_fewer_threads) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs more address space than this test leaves";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto start_too_many = [] {
    const rlimit limit{std::size_t{1} << 30, std::size_t{1} << 30};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) std::exit(3);
    try {
      const thread_pool pool(4096);
      std::exit(4);
    } catch (const io_error& refusal) {
      std::fprintf(stderr, "%s\n", refusal.what());
      std::exit(0);
    }
  };
  EXPECT_EXIT(start_too_many(), testing::ExitedWithCode(0), "cannot start thread [0-9]+ of 4096: .*`threads`");
}

TEST(run_control, rejects_more_threads_than_any_machine_has) {
  EXPECT_EQ(run_control{.threads = max_threads}.thread_count(), max_threads);
  EXPECT_GE(run_control{}.thread_count(), 1U);
  for (const unsigned threads : {max_threads + 1, 100'000U, ~0U}) {
    EXPECT_THROW((void)run_control{.threads = threads}.thread_count(), option_error);
  }
}

}  // namespace
}  // namespace negpipe::support
