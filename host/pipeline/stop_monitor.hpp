// Polls for reasons to stop: the caller's request, the end of the parent process, the removal of a file.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "files.hpp"

namespace negpipe::pipeline {

enum class stop_reason : std::uint8_t { none, asked, parent_ended, file_removed };

/// Polls ten times a second in its own thread. Reports a reason through a flag and through a descriptor for poll().
/// Thread-safe.
class stop_monitor {
 public:
  /// - caller: flag of the caller's request; may be null.
  /// - parent: pid of the parent process; 0 ignores its end.
  /// Throws io_error.
  stop_monitor(const std::atomic<bool>* caller, std::int64_t parent);
  ~stop_monitor();
  stop_monitor(const stop_monitor&) = delete;
  stop_monitor& operator=(const stop_monitor&) = delete;

  /// Adds the removal of a file to the reasons. The file must outlive the monitor.
  void watch_file(const support::file& file);

  const std::atomic<bool>& requested() const { return requested_; }
  /// Returns the reason; not none once requested() is true.
  stop_reason reason() const { return reason_; }
  /// Becomes readable when requested() becomes true.
  int descriptor() const { return event_.descriptor; }
  /// Returns the time since construction during which this process ran, to 100 ms. Time during which it is stopped
  /// (SIGSTOP, a debugger) does not count, because the consumer is often stopped with it. Constant once requested() is
  /// true.
  std::chrono::nanoseconds running_time() const { return std::chrono::nanoseconds(running_time_.load()); }

 private:
  struct event {
    event();
    ~event();
    int descriptor;
  };

  void watch(const std::stop_token& done, const std::atomic<bool>* caller, std::int64_t parent);
  stop_reason find_reason(const std::atomic<bool>* caller, std::int64_t parent) const;

  event event_;
  std::atomic<bool> requested_{false};
  std::atomic<stop_reason> reason_{stop_reason::none};
  std::atomic<std::int64_t> running_time_{0};  ///< nanoseconds
  std::mutex mutex_;                           // guards file_
  std::condition_variable_any wake_;
  const support::file* file_ = nullptr;
  std::jthread thread_;
};

}  // namespace negpipe::pipeline
