#include "folder_watch.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace negpipe::pipeline {

namespace {
constexpr std::chrono::milliseconds polling_pause{500};
constexpr std::chrono::milliseconds safety_pause{5000};
}  // namespace

folder_watch::folder_watch(std::filesystem::path folder, bool poll_only) : folder_(std::move(folder)) {
  if (poll_only) return;
  inotify_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  follow_name();
  if (watched_ >= 0 || inotify_ < 0) return;
  ::close(inotify_);
  inotify_ = -1;
}

folder_watch::~folder_watch() {
  if (inotify_ >= 0) ::close(inotify_);
}

void folder_watch::wait(int wake, std::chrono::steady_clock::duration max_wait) {
  if (!polling() && watched_ < 0) {
    follow_name();
    if (watched_ >= 0) return;  // changes before this raised no event: the caller must list the folder again
  }
  const bool looking = polling() || watched_ < 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(max_wait);
  const auto pause = std::clamp(left, std::chrono::milliseconds(0), looking ? polling_pause : safety_pause);
  std::array<pollfd, 2> sources{{{wake, POLLIN, 0}, {inotify_, POLLIN, 0}}};  // poll ignores a negative descriptor
  (void)::poll(sources.data(), sources.size(), static_cast<int>(pause.count()));
  if (!polling()) read_events();
}

void folder_watch::follow_name() {
  constexpr std::uint32_t events = IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  if (inotify_ >= 0) watched_ = ::inotify_add_watch(inotify_, folder_.c_str(), events);
}

void folder_watch::read_events() {
  alignas(inotify_event) std::array<char, 4096> events;
  for (ssize_t size = 0; (size = ::read(inotify_, events.data(), events.size())) > 0;) {
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if (event->wd != watched_ || (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) == 0) continue;
      (void)::inotify_rm_watch(inotify_, watched_);  // a moved folder would still be watched
      watched_ = -1;
    }
  }
}

}  // namespace negpipe::pipeline
