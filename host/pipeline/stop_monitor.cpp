#include "stop_monitor.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "files.hpp"

namespace negpipe::pipeline {

stop_monitor::stop_monitor(const std::atomic<bool>* caller, std::int64_t parent)
    : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_ < 0) support::throw_io_error("make", "an event descriptor");
  thread_ = std::jthread([this, caller, parent](const std::stop_token& done) { watch(done, caller, parent); });
}

stop_monitor::~stop_monitor() {
  thread_.request_stop();
  thread_.join();
  ::close(event_);
}

// A signal handler can set a flag and no more, and the parent's death signal would follow the thread that started us
// rather than the process: so both are looked at.
void stop_monitor::watch(const std::stop_token& done, const std::atomic<bool>* caller, std::int64_t parent) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!done.stop_requested()) {
    const bool asked = caller != nullptr && caller->load(std::memory_order_relaxed);
    if (!asked && parent != 0 && ::getppid() != parent) parent_ended_ = true;
    if (asked || parent_ended_) {
      requested_ = true;
      (void)::eventfd_write(event_, 1);
      return;
    }
    wake.wait_for(lock, done, std::chrono::milliseconds(100), [] { return false; });
  }
}

}  // namespace negpipe::pipeline
