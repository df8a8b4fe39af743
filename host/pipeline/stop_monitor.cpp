#include "stop_monitor.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "negpipe/error.hpp"

namespace negpipe::pipeline {

stop_monitor::event::event() : descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (descriptor < 0) support::throw_io_error("make", "an event descriptor");
}

stop_monitor::event::~event() { ::close(descriptor); }

stop_monitor::stop_monitor(const std::atomic<bool>* caller, std::int64_t parent) {
  try {
    thread_ = std::jthread([this, caller, parent](const std::stop_token& done) { watch(done, caller, parent); });
  } catch (const std::system_error& refusal) {
    throw io_error("cannot start the thread that polls for reasons to stop: " + refusal.code().message() +
                   "; raise the limit on processes or memory");
  }
}

stop_monitor::~stop_monitor() {
  thread_.request_stop();
  thread_.join();
}

void stop_monitor::watch_file(const support::file& file) {
  const std::lock_guard lock(mutex_);
  file_ = &file;
}

// Polled, because a signal handler can only set a flag, and prctl(PR_SET_PDEATHSIG) reports the end of the thread that
// started this process, not of the parent process.
stop_reason stop_monitor::find_reason(const std::atomic<bool>* caller, std::int64_t parent) const {
  if (caller != nullptr && caller->load(std::memory_order_relaxed)) return stop_reason::asked;
  if (parent != 0 && ::getppid() != parent) return stop_reason::parent_ended;
  if (file_ != nullptr && !file_->is_in_place()) return stop_reason::file_removed;
  return stop_reason::none;
}

void stop_monitor::watch(const std::stop_token& done, const std::atomic<bool>* caller, std::int64_t parent) {
  using clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds pause{100};
  // A longer step means that the process was stopped.
  constexpr std::chrono::nanoseconds max_step = 10 * pause;
  std::unique_lock lock(mutex_);
  for (auto last = clock::now(); !done.stop_requested();) {
    reason_ = find_reason(caller, parent);
    if (reason_ != stop_reason::none) {
      requested_ = true;
      (void)::eventfd_write(event_.descriptor, 1);
      return;
    }
    wake_.wait_for(lock, done, pause, [] { return false; });
    const auto now = clock::now();
    running_time_ += std::min<std::chrono::nanoseconds>(now - last, max_step).count();
    last = now;
  }
}

}  // namespace negpipe::pipeline
