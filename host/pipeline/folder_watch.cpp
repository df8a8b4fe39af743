#include "folder_watch.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace negpipe::pipeline {

namespace {
constexpr std::chrono::milliseconds polling_pause{500};
constexpr std::chrono::milliseconds safety_pause{5000};
}  // namespace

folder_watch::folder_watch(const std::filesystem::path& folder, bool poll_only) {
  if (poll_only) return;
  inotify_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (inotify_ < 0) return;
  constexpr std::uint32_t events = IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  if (::inotify_add_watch(inotify_, folder.c_str(), events) < 0) {
    ::close(inotify_);
    inotify_ = -1;
  }
}

folder_watch::~folder_watch() {
  if (inotify_ >= 0) ::close(inotify_);
}

void folder_watch::wait(int wake, std::chrono::steady_clock::duration at_most) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_most);
  const auto pause = std::clamp(left, std::chrono::milliseconds(0), polling() ? polling_pause : safety_pause);
  std::array<pollfd, 2> sources{{{wake, POLLIN, 0}, {inotify_, POLLIN, 0}}};  // poll passes over a negative descriptor
  (void)::poll(sources.data(), sources.size(), static_cast<int>(pause.count()));
  if (polling()) return;
  alignas(inotify_event) std::array<char, 4096> events;
  while (::read(inotify_, events.data(), events.size()) > 0) {
  }
}

}  // namespace negpipe::pipeline
