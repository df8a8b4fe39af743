#include "produce_log.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "negpipe/error.hpp"

namespace negpipe::cli {

produce_log::produce_log(bool quiet) : quiet_(quiet), shows_status_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

produce_log::~produce_log() {
  if (file_ != nullptr) std::fclose(file_);
}

void produce_log::open(const std::filesystem::path& file) {
  // With O_NONBLOCK a FIFO without a reader is refused (ENXIO) instead of blocking.
  const int descriptor =
      ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
  if (descriptor >= 0) {
    (void)::fcntl(descriptor, F_SETFL, O_APPEND);
    file_ = ::fdopen(descriptor, "a");
    if (file_ != nullptr) return;
    ::close(descriptor);
  }
  throw io_error(fmt::format("cannot write the log {}: {}; choose another --log-file", file.string(),
                             std::strerror(errno)));
}

void produce_log::write(const std::string& message) {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const std::string line = fmt::format("{:%FT%TZ} negpipe produce [{}]: {}\n", now, ::getpid(), message);
  if (file_ != nullptr) {
    std::fputs(line.c_str(), file_);
    std::fflush(file_);
  } else if (!quiet_) {
    line_.end();
    std::fputs(line.c_str(), stderr);
  }
}

void produce_log::show(const produce_status& status) {
  const auto now = std::chrono::steady_clock::now();
  if (!shows_status_ || now - shown_ < std::chrono::milliseconds(100)) return;
  shown_ = now;
  std::string line = fmt::format("{} made, {} ahead, {} consumed, {}points/s", status.made, status.ahead,
                                 status.made - std::min(status.made, status.ahead),
                                 with_prefix(status.points_per_second));
  if (status.activity == produce_activity::making) {
    line += fmt::format(", {} {:3.0f} %", status.stage, 100 * status.stage_done);
  } else {
    const bool for_room = status.activity == produce_activity::waiting_for_room;
    line += for_room ? ", waiting for disk space" : ", waiting for the trainer";
  }
  line_.show(line);
}

}  // namespace negpipe::cli
