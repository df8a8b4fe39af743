// Files and folders that appear whole or not at all.
#pragma once

#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files.hpp"
#include "output_path.hpp"

namespace negpipe::support {

/// A file in the making: a hidden sibling with a name that nobody else has, which publish() renames to the final one.
/// Without publish() the sibling is removed.
class staged_file {
 public:
  /// The sibling stands in staging_parent if one is given, which must be on the same file system. Throws io_error.
  explicit staged_file(std::filesystem::path final_file, const std::filesystem::path& staging_parent = {});
  ~staged_file();
  staged_file(const staged_file&) = delete;
  staged_file& operator=(const staged_file&) = delete;

  file& out() { return out_; }
  /// Syncs and closes what was written.
  void finish();
  /// After finish(): gives the file its name, and syncs that. With replace, a regular file of that name is replaced;
  /// what it turns out to be is looked at before it is deleted. Throws option_error, and leaves what is there, when
  /// anything else has the name; io_error.
  void publish(bool replace);

 private:
  /// Returns false when nothing has the final name after all.
  bool replace();

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

/// A folder in the making: work happens in a hidden sibling with a name that nobody else has, which publish() renames
/// to the final name. Without publish() the sibling is removed.
class staged_folder {
 public:
  /// The final folder's parents are created, and removed again if nothing comes into them. The sibling stands in
  /// staging_parent if one is given, which must be on the same file system; then both parents must exist, so that a
  /// folder which somebody removes does not come back. Throws what check_output_folder throws; so does publish(), when
  /// something has come meanwhile.
  staged_folder(const std::filesystem::path& final_folder, const std::optional<folder_kind>& replaces,
                const std::filesystem::path& staging_parent = {});
  ~staged_folder();
  staged_folder(const staged_folder&) = delete;
  staged_folder& operator=(const staged_folder&) = delete;

  const std::filesystem::path& path() const { return staging_; }
  /// Syncs the folder, renames it, and syncs the rename. Files in the folder must have been synced. A folder that is
  /// replaced trades places with this one: there is a whole one at any time, except for a moment where the file system
  /// knows no such trade. What was traded is checked before it is deleted, and goes back if it may not be replaced.
  /// When this throws, the folder is published only if what failed is the last sync, or the removal of the old folder.
  void publish();
  /// The same without the last sync, which the caller does by sync_folder() on the parent.
  void publish_unsynced();

  /// Leaves the hidden folder where it is, if it was not published: somebody else takes care of it.
  void keep() noexcept { unpublished_.clear(); }

 private:
  /// Both return false when there is something, or nothing, at the final name after all.
  bool take_free_path();
  bool replace();
  bool replace_in_two_steps();
  std::string give_back(const std::exception& reason);
  void remove_replaced();

  std::filesystem::path final_;
  made_folders parents_;
  std::filesystem::path staging_;
  std::filesystem::path unpublished_;  ///< staging_ until that is published
  std::filesystem::path replaced_;     ///< hidden name of the folder that was replaced
  std::vector<std::string> replaced_files_;
  std::optional<folder_kind> replaces_;
};

}  // namespace negpipe::support
