// Progress, cancellation and number of threads of long operations.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

namespace negpipe {

/// Progress of a stage. total is 0 while unknown.
struct progress {
  std::string_view stage;  ///< such as "cycle 3"
  std::string_view unit;   ///< unit of the counts, such as "points" or "bytes"
  std::uint64_t done;
  std::uint64_t total;
};

/// Upper limit of thread counts. No machine has more; a larger number is a typing error.
inline constexpr unsigned max_threads = 4096;

/// Options of every long operation. The defaults mean: all cores, no progress reports, no cancellation.
struct run_control {
  /// Number of threads, at most max_threads; 0 means one per core. Does not change results.
  unsigned threads = 0;
  /// Called often, from any thread, never concurrently. Must not throw.
  std::function<void(const progress&)> on_progress;
  /// Polled; once it is true, the operation cleans up and throws interrupted_error.
  const std::atomic<bool>* stop_requested = nullptr;

  void report(const progress& now) const {
    if (on_progress) on_progress(now);
  }
  /// Returns threads with 0 resolved; at least 1. Throws option_error for more than max_threads. Starting the threads
  /// may throw io_error.
  unsigned thread_count() const;
  /// Throws interrupted_error if a stop was requested.
  void throw_if_stopped() const;
};

}  // namespace negpipe
