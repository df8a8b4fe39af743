#include "stop_monitor.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "files.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::pipeline {
namespace {

/// Waits for a reason, at most a minute.
stop_reason wait_for_reason(const stop_monitor& monitor) {
  pollfd event{monitor.descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&event, 1, 60'000), 1);
  EXPECT_TRUE(monitor.requested());
  return monitor.reason();
}

TEST(stop_monitor, reports_none_without_a_reason) {
  const std::atomic<bool> asked{false};
  const stop_monitor monitor(&asked, ::getppid());
  while (monitor.running_time() < std::chrono::milliseconds(250)) std::this_thread::yield();
  EXPECT_FALSE(monitor.requested());
  EXPECT_EQ(monitor.reason(), stop_reason::none);
}

TEST(stop_monitor, reports_the_request_of_the_caller) {
  std::atomic<bool> asked{false};
  const stop_monitor monitor(&asked, 0);
  asked = true;
  EXPECT_EQ(wait_for_reason(monitor), stop_reason::asked);
}

TEST(stop_monitor, reports_another_parent_process) {
  const stop_monitor monitor(nullptr, ::getpid());
  EXPECT_EQ(wait_for_reason(monitor), stop_reason::parent_ended);
}

TEST(stop_monitor, reports_that_a_file_was_removed_or_replaced) {
  const test::temporary_folder scratch;
  for (const bool replaced : {false, true}) {
    const auto path = scratch.path() / "file";
    const auto file = support::file::create(path);
    stop_monitor monitor(nullptr, 0);
    monitor.watch_file(file);
    EXPECT_FALSE(monitor.requested());
    if (replaced) {
      (void)support::file::create(scratch.path() / "other");
      std::filesystem::rename(scratch.path() / "other", path);
    } else {
      std::filesystem::remove(path);
    }
    EXPECT_EQ(wait_for_reason(monitor), stop_reason::file_removed);
  }
}

}  // namespace
}  // namespace negpipe::pipeline
