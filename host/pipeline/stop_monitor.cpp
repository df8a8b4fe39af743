#include "stop_monitor.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>

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

void stop_monitor::watch_file(const support::file& file) {
  const std::lock_guard lock(mutex_);
  file_ = &file;
}

// A signal handler can set a flag and no more, and the parent's death signal would follow the thread that started us
// rather than the process: so both are looked at, and the file with them.
void stop_monitor::watch(const std::stop_token& done, const std::atomic<bool>* caller, std::int64_t parent) {
  const auto look = [&] {
    if (caller != nullptr && caller->load(std::memory_order_relaxed)) return stop_reason::asked;
    if (parent != 0 && ::getppid() != parent) return stop_reason::parent_ended;
    if (file_ != nullptr && !file_->is_in_place()) return stop_reason::file_removed;
    return stop_reason::none;
  };
  std::unique_lock lock(mutex_);
  while (!done.stop_requested()) {
    reason_ = look();
    if (reason_ != stop_reason::none) {
      requested_ = true;
      (void)::eventfd_write(event_, 1);
      return;
    }
    wake_.wait_for(lock, done, std::chrono::milliseconds(100), [] { return false; });
  }
}

}  // namespace negpipe::pipeline
