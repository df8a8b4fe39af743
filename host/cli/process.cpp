#include "process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace negpipe::cli {

namespace {

constexpr int system_status = 6;

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

extern "C" void request_stop(int signal, siginfo_t* info, void*) {
  // The kernel's own SIGXFSZ comes with EFBIG from the write, which gives a better message.
  if (signal == SIGXFSZ && info->si_pid == ::getpid()) return;
  stop_requested.store(true);
}

extern "C" void report_bus_error(int) {
  constexpr std::string_view message =
      "negpipe: a file was truncated or became unreadable while it was read (SIGBUS); run again when it is whole\n";
  (void)!::write(STDERR_FILENO, message.data(), message.size());
  ::_exit(system_status);
}

bool is_stop_request(int signal) { return signal == SIGINT || signal == SIGTERM || signal == SIGQUIT; }

/// Returns true for faults of the program, signals that cannot be caught, and those that do not end a process.
bool is_left_alone(int signal) {
  switch (signal) {
    case SIGKILL: case SIGSTOP:
    case SIGSEGV: case SIGBUS: case SIGFPE: case SIGILL: case SIGABRT: case SIGTRAP: case SIGSYS:
    case SIGCHLD: case SIGCONT: case SIGURG: case SIGWINCH: case SIGTSTP: case SIGTTIN: case SIGTTOU:
      return true;
    default: return false;
  }
}

}  // namespace

void open_standard_descriptors() noexcept {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    if (::open("/dev/null", O_RDWR) != descriptor) ::_exit(system_status);  // no message: stderr may be closed
  }
}

void end_on_bus_error() noexcept { ::signal(SIGBUS, report_bus_error); }

const std::atomic<bool>& stop_on_signals() noexcept {
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    struct sigaction current {};
    if (is_left_alone(signal) || ::sigaction(signal, nullptr, &current) != 0) continue;
    // A profiler or a debugging tool may have installed its own handler.
    if (!is_stop_request(signal) && current.sa_handler != SIG_DFL) continue;
    struct sigaction ours {};
    ours.sa_sigaction = request_stop;
    ours.sa_flags = SA_SIGINFO | SA_RESTART | (is_stop_request(signal) ? static_cast<int>(SA_RESETHAND) : 0);
    (void)::sigaction(signal, &ours, nullptr);
  }
  return stop_requested;
}

}  // namespace negpipe::cli
