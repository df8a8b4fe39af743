// Files and folders that appear whole or not at all.
#pragma once

#include <cstdint>
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
  /// After finish(): appear(), then settle().
  void publish(bool replace);
  /// Renames the file, with replace over one that is there; else throws option_error if there is anything by now.
  void appear(bool replace);
  /// After appear(): syncs the rename. The file is there also when this throws.
  void settle();

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

/// What stays the same of a folder when it is renamed.
struct folder_identity {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
  bool operator==(const folder_identity&) const = default;
};

/// A folder in the making: work happens in a hidden sibling of a name that nobody else has, which publish() renames to
/// the final name. Without publish() the sibling is removed again. Where something else is to appear with the folder,
/// or neither, publish() is done in its three steps, the other thing between the first and the second.
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
  /// appear(), commit(), settle(). Files in the folder must have been synced.
  void publish();
  /// The first two alone: the caller does sync_folder() on the parent. When this throws, nothing is to be seen; when
  /// that does, the folder is published already.
  void publish_unsynced();

  /// Syncs the folder and renames it. A parent that went meanwhile is made again, but nothing above it. A folder that
  /// is replaced trades places with this one: there is a whole one at any time, except for a moment where the file
  /// system knows no such trade. Unless commit() follows, the destructor puts things back as they were.
  void appear();
  /// Leaves the hidden folder where it is, if it was not published: somebody else takes care of it.
  void keep() noexcept { leaving_.clear(); }
  /// From now on the folder stays, and the one that it replaced goes in the end.
  void commit() noexcept { state_ = state::published; }
  /// Syncs the rename and the parents that were created, and removes the folder that was replaced.
  void settle();

 private:
  enum class state { hidden, shown, published };

  /// Both return false when there is something, or nothing, at the final name after all.
  bool take_free_place();
  bool replace();
  bool replace_in_two_steps();
  void withdraw() noexcept;

  std::filesystem::path final_;
  made_folders parents_;
  std::filesystem::path staging_;
  std::filesystem::path leaving_;  ///< what is removed in the end: what was not published, or was replaced
  std::optional<folder_mark> replaces_;
  state state_ = state::hidden;
  folder_identity shown_{};  ///< tells this folder from one that another run puts in its place
};

}  // namespace negpipe::support
