// Files and folders that appear whole or not at all.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "files.hpp"
#include "place.hpp"

namespace negpipe::support {

/// A file in the making: a hidden sibling of a name that nobody else has, which publish() renames to the final one.
/// Without publish() the sibling is removed again.
class staged_file {
 public:
  /// The sibling stands in staging_parent if one is given, which must be on the same file system. Throws io_error.
  explicit staged_file(std::filesystem::path final_file, const std::filesystem::path& staging_parent = {});
  ~staged_file();
  staged_file(const staged_file&) = delete;
  staged_file& operator=(const staged_file&) = delete;

  file& out() { return out_; }
  /// Syncs and closes what was written: all that is missing is the name.
  void finish();
  /// After finish(): renames the file and syncs the rename. With replace over a file that is there; else throws
  /// option_error if there is anything by now.
  void publish(bool replace);

 private:
  std::filesystem::path final_;
  file out_;
  bool published_ = false;
};

/// Writes a small file as a staged_file, over one that is there.
void publish_file(const std::filesystem::path& path, std::string_view text,
                  const std::filesystem::path& staging_parent = {});

/// Folders that were made so that something can stand in them: those that stay empty are removed again.
class made_folders {
 public:
  made_folders() = default;
  ~made_folders();
  made_folders(const made_folders&) = delete;
  made_folders& operator=(const made_folders&) = delete;

  /// Makes a folder, a full path, and all above it that are not there. If another process removes one of them at the
  /// same time, it is not there afterwards. Throws io_error.
  void make(const std::filesystem::path& folder);
  /// Syncs what was made, which from now on stays.
  void keep();

 private:
  std::vector<std::filesystem::path> made_;  ///< each above the next
};

/// A folder in the making: work happens in a hidden sibling of a name that nobody else has, which publish() renames to
/// the final name. Without publish() the sibling is removed again.
class staged_folder {
 public:
  /// The final folder's parents are created, and removed again if nothing comes into them. The sibling stands in
  /// staging_parent if one is given, which must be on the same file system; then both parents must exist, so that a
  /// folder which somebody removes does not come back. Throws what check_folder_place throws; so does publish(), when
  /// something has come meanwhile.
  staged_folder(const std::filesystem::path& final_folder, const std::optional<folder_mark>& replaces,
                const std::filesystem::path& staging_parent = {});
  ~staged_folder();
  staged_folder(const staged_folder&) = delete;
  staged_folder& operator=(const staged_folder&) = delete;

  const std::filesystem::path& path() const { return staging_; }
  /// Syncs the folder, renames it, and syncs the rename and the parents that were created. Files in it must have been
  /// synced. A parent that went meanwhile is made again, but nothing above it. A folder that is replaced trades places
  /// with this one, and is removed then: there is a whole one at any time, except for a moment where the file system
  /// knows no such trade.
  void publish();
  /// The renaming alone: the caller does sync_folder() on the parent. When this throws, nothing is to be seen; when
  /// that does, the folder is published already.
  void publish_unsynced();

 private:
  /// Both return false when there is something, or nothing, at the final name after all.
  bool appear();
  bool replace();

  std::filesystem::path final_;
  made_folders parents_;
  std::filesystem::path staging_;
  std::filesystem::path leaving_;  ///< what is removed in the end: what was not published, or was replaced
  std::optional<folder_mark> replaces_;
};

}  // namespace negpipe::support
