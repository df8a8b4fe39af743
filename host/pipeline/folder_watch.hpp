// Waits for the removal of a folder's entries.
#pragma once

#include <chrono>
#include <filesystem>

namespace negpipe::pipeline {

/// Uses inotify, and returns every few seconds all the same: changes made by another machine on a network file system
/// raise no event. Without inotify it returns twice a second. A folder that is removed is watched again when there is
/// one of its name. Not thread-safe.
class folder_watch {
 public:
  /// Never throws io_error: without inotify it polls.
  folder_watch(std::filesystem::path folder, bool poll_only);
  ~folder_watch();
  folder_watch(const folder_watch&) = delete;
  folder_watch& operator=(const folder_watch&) = delete;

  bool polling() const { return inotify_ < 0; }
  /// Returns after an entry was removed since the last call, when it is time to look again, when wake is readable, or
  /// after max_wait. The caller finds out which.
  void wait(int wake, std::chrono::steady_clock::duration max_wait);

 private:
  /// Watches the folder that has the name now.
  void follow_name();
  void read_events();

  std::filesystem::path folder_;
  int inotify_ = -1;
  int watched_ = -1;  ///< inotify's number for the folder; negative while it is not watched
};

}  // namespace negpipe::pipeline
