// How a caller watches, stops and sizes long work.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

namespace negpipe {

/// How far a stage has come. total is 0 while it is not known.
struct progress {
  std::string_view stage;  ///< such as "cycle 3"
  std::string_view unit;   ///< what is counted, such as "points" or "bytes"
  std::uint64_t done;
  std::uint64_t total;
};

/// More threads than any machine has: beyond it a number of threads is a slip of the keyboard.
inline constexpr unsigned max_threads = 4096;

/// Passed to everything that may take long. The defaults mean: all cores, silent, not to be stopped.
struct run_control {
  /// Threads to use, at most max_threads; 0 means one a core. Results never depend on it.
  unsigned threads = 0;
  /// Called often, from any thread but by one at a time. Must not throw.
  std::function<void(const progress&)> on_progress;
  /// Polled; once true, the work cleans up and throws interrupted_error.
  const std::atomic<bool>* stop_requested = nullptr;

  void report(const progress& now) const {
    if (on_progress) on_progress(now);
  }
  /// threads with 0 resolved; at least 1. Throws option_error for more than max_threads. Whoever then starts them
  /// throws io_error when the system does not give so many.
  unsigned thread_count() const;
  /// Throws interrupted_error if a stop was requested.
  void throw_if_stopped() const;
};

}  // namespace negpipe
