// Waits for the removal of a folder's entries.
#pragma once

#include <chrono>
#include <filesystem>

namespace negpipe::pipeline {

/// Uses inotify. Also returns every 5 s, because changes by another machine on a network file system raise no event.
/// Without inotify it returns every 500 ms. A folder that is removed and created again is watched again.
/// Not thread-safe.
class folder_watch {
 public:
  /// Polls if poll_only, or if inotify is not available. Does not throw io_error.
  folder_watch(std::filesystem::path folder, bool poll_only);
  ~folder_watch();
  folder_watch(const folder_watch&) = delete;
  folder_watch& operator=(const folder_watch&) = delete;

  bool polling() const { return inotify_ < 0; }
  /// Returns if an entry was removed since the last call, if wake is readable, when the caller should list the folder
  /// anyway, or after max_wait. Does not report which.
  void wait(int wake, std::chrono::steady_clock::duration max_wait);

 private:
  /// Watches the folder that the path names now.
  void follow_name();
  void read_events();

  std::filesystem::path folder_;
  int inotify_ = -1;
  int watched_ = -1;  ///< watch descriptor; negative while the folder is not watched
};

}  // namespace negpipe::pipeline
