// Reasons to stop that no system call waits for: the caller's request, the end of the parent, a file that was removed.
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

/// Looks for a reason ten times a second, in a thread of its own. The result is a flag for work that polls and a
/// readable descriptor for poll(). Member functions may be called from any thread.
class stop_monitor {
 public:
  /// caller may be null; parent 0 means that the parent process does not matter. Throws io_error.
  stop_monitor(const std::atomic<bool>* caller, std::int64_t parent);
  ~stop_monitor();
  stop_monitor(const stop_monitor&) = delete;
  stop_monitor& operator=(const stop_monitor&) = delete;

  /// From now on the removal of a file is a reason too. The file must outlive the monitor.
  void watch_file(const support::file& file);

  const std::atomic<bool>& requested() const { return requested_; }
  /// Anything but none once requested() is true.
  stop_reason reason() const { return reason_; }
  /// Becomes readable when requested() becomes true.
  int descriptor() const { return event_.descriptor; }
  /// Time for which this process has been running since construction, to 100 ms. While it is stopped (SIGSTOP, a
  /// debugger) this clock stands still, as the consumer is often stopped with it. It ends once requested() is true.
  std::chrono::nanoseconds running_time() const { return std::chrono::nanoseconds(running_time_.load()); }

 private:
  struct event {
    event();
    ~event();
    int descriptor;
  };

  void watch(const std::stop_token& done, const std::atomic<bool>* caller, std::int64_t parent);
  stop_reason look(const std::atomic<bool>* caller, std::int64_t parent) const;

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
