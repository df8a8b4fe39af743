// Reasons to stop that nobody waits for: the caller's request, the end of the parent process, a file that was removed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "files.hpp"

namespace negpipe::pipeline {

enum class stop_reason : std::uint8_t { none, asked, parent_ended, file_removed };

/// Watches from a thread of its own, ten times a second, and turns what it finds into a flag for those who work and
/// a readable descriptor for those who wait.
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
  /// Readable from the moment of the request on.
  int descriptor() const { return event_; }

 private:
  void watch(const std::stop_token& done, const std::atomic<bool>* caller, std::int64_t parent);

  int event_;
  std::atomic<bool> requested_{false};
  std::atomic<stop_reason> reason_{stop_reason::none};
  std::mutex mutex_;  // guards file_
  std::condition_variable_any wake_;
  const support::file* file_ = nullptr;
  std::jthread thread_;
};

}  // namespace negpipe::pipeline
