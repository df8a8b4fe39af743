#include "negpipe/run_control.hpp"

#include <string>
#include <thread>

#include "negpipe/error.hpp"

namespace negpipe {

unsigned run_control::thread_count() const {
  if (threads > max_threads) {
    throw option_error("threads", std::to_string(threads) + " given, at most " + std::to_string(max_threads) +
                                      " wanted; 0 means one per core");
  }
  if (threads != 0) return threads;
  const unsigned cores = std::thread::hardware_concurrency();
  return cores == 0 ? 1 : cores;
}

void run_control::throw_if_stopped() const {
  if (stop_requested != nullptr && stop_requested->load(std::memory_order_relaxed)) {
    throw interrupted_error("interrupted: stopped on request; unfinished output has been removed");
  }
}

}  // namespace negpipe
