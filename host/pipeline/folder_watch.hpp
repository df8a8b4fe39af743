// Waiting for an entry of a folder to go.
#pragma once

#include <chrono>
#include <filesystem>

namespace negpipe::pipeline {

/// Wakes by inotify, and looks now and then all the same: changes made by another machine on a network file system
/// wake nobody. Where there is no inotify it looks twice a second. A folder that goes is watched again once there is
/// one of its name.
class folder_watch {
 public:
  /// Never fails: without inotify it polls.
  folder_watch(std::filesystem::path folder, bool poll_only);
  ~folder_watch();
  folder_watch(const folder_watch&) = delete;
  folder_watch& operator=(const folder_watch&) = delete;

  bool polling() const { return inotify_ < 0; }
  /// Returns when an entry went since the last call, when it is time to look again, when wake is readable, or after
  /// at_most. The caller looks for itself which it was.
  void wait(int wake, std::chrono::steady_clock::duration at_most);

 private:
  /// Sees to it that the folder is watched which bears the name now.
  void follow_name();
  void read_events();

  std::filesystem::path folder_;
  int inotify_ = -1;
  int watched_ = -1;  ///< inotify's number for the folder; negative while it is not watched
};

}  // namespace negpipe::pipeline
