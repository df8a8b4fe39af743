// Reasons to stop that nobody waits for: the caller's request and the end of the parent process.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace negpipe::pipeline {

/// Watches from a thread of its own, ten times a second, and turns what it finds into a flag for those who work and
/// a readable descriptor for those who wait.
class stop_monitor {
 public:
  /// caller may be null; parent 0 means that the parent process does not matter. Throws io_error.
  stop_monitor(const std::atomic<bool>* caller, std::int64_t parent);
  ~stop_monitor();
  stop_monitor(const stop_monitor&) = delete;
  stop_monitor& operator=(const stop_monitor&) = delete;

  const std::atomic<bool>& requested() const { return requested_; }
  /// Whether the parent's end was the reason. Meaningful once requested() is true.
  bool parent_ended() const { return parent_ended_; }
  /// Readable from the moment of the request on.
  int descriptor() const { return event_; }

 private:
  void watch(const std::stop_token& done, const std::atomic<bool>* caller, std::int64_t parent);

  int event_;
  std::atomic<bool> requested_{false};
  std::atomic<bool> parent_ended_{false};
  std::jthread thread_;
};

}  // namespace negpipe::pipeline
