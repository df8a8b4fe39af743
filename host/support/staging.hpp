// Files and folders that appear complete or not at all.
#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files.hpp"
#include "output_path.hpp"

namespace negpipe::support {

/// A file that is being written under a unique hidden name beside its final path. publish() renames it; without
/// publish() it is removed.
class staged_file {
 public:
  /// staging_parent: where the hidden file is, on the same file system; default is the final parent. Throws io_error.
  explicit staged_file(std::filesystem::path final_file, const std::filesystem::path& staging_parent = {});
  ~staged_file();
  staged_file(const staged_file&) = delete;
  staged_file& operator=(const staged_file&) = delete;

  file& out() { return out_; }
  /// Syncs and closes the file.
  void finish();
  /// Renames the file to its final path, and syncs the rename. Call after finish(). With replace, replaces a regular
  /// file, which is checked once more before it is deleted. Throws option_error if anything else has the name, and
  /// keeps it; io_error.
  void publish(bool replace);

  // publish() in two steps, for a file that belongs to another output.
  /// Renames the file. A replaced file keeps a hidden name.
  void take_path(bool replace);
  /// Syncs the rename and deletes the replaced file.
  void settle();
  /// Undoes take_path(), unless another file has the name by now, or the file system could not exchange files.
  void withdraw() noexcept;

 private:
  enum class taken : unsigned char { no, free_path, by_exchange, by_overwriting };

  /// Returns taken::no if nothing has the final name any more.
  taken replace();

  std::filesystem::path final_;
  file out_;
  std::filesystem::path hidden_;  ///< what is removed in the end: this file, or the one that it replaced
  taken taken_ = taken::no;
  std::uint64_t device_ = 0;  ///< of the file, once it was renamed
  std::uint64_t inode_ = 0;
};

/// Writes a small file like staged_file, and replaces an existing one.
void publish_file(const std::filesystem::path& path, std::string_view text,
                  const std::filesystem::path& staging_parent = {});

/// Parent folders that were created for an output. Those that stay empty are removed again.
class made_folders {
 public:
  made_folders() = default;
  ~made_folders();
  made_folders(const made_folders&) = delete;
  made_folders& operator=(const made_folders&) = delete;

  /// Creates a folder, given by its full path, and its missing parents. If another process removes one of them at the
  /// same time, it may be missing afterwards. Throws io_error.
  void make(const std::filesystem::path& folder);
  /// Syncs the created folders and keeps them.
  void keep();

 private:
  std::vector<std::filesystem::path> made_;  ///< each is the parent of the next
};

/// A folder that is being written under a unique hidden name beside its final path. publish() renames it; without
/// publish() it is removed.
class staged_folder {
 public:
  /// Creates missing parents of the final folder, and removes them again if they stay empty.
  /// - staging_parent: where the hidden folder is, on the same file system. Then both parents must exist, so that a
  ///   folder removed by another process is not created again. Default is the final parent.
  /// - Throws what check_output_folder throws. publish() throws the same if something has appeared since.
  staged_folder(const std::filesystem::path& final_folder, const std::optional<folder_kind>& replaces,
                const std::filesystem::path& staging_parent = {});
  /// Publishes an existing hidden folder, which stays if it is not published.
  struct adopted {
    std::filesystem::path folder;  ///< beside the final folder
  };
  staged_folder(adopted existing, const std::filesystem::path& final_folder,
                const std::optional<folder_kind>& replaces);
  ~staged_folder();
  staged_folder(const staged_folder&) = delete;
  staged_folder& operator=(const staged_folder&) = delete;

  const std::filesystem::path& path() const { return staging_; }
  /// Syncs the folder, renames it, and syncs the rename. The files in it must be synced.
  /// A folder to be replaced is exchanged for this one, so that a complete one exists at any time (except for a moment
  /// where the file system cannot exchange). The old one is checked before it is deleted, and moved back if it must not
  /// be replaced.
  /// If this throws, the folder is published only if the last sync or the removal of the old folder failed.
  void publish();
  /// publish() without the last sync, which the caller does by sync_folder() on the parent, or by settle(). If this
  /// throws, the folder is not published.
  void publish_unsynced();
  /// The rest of publish(): syncs the rename and removes the replaced folder.
  void settle();

  /// Leaves an unpublished hidden folder where it is: another owner removes it.
  void keep() noexcept { unpublished_.clear(); }

 private:
  /// Both return false if something, or nothing, has the final name after all.
  bool take_free_path();
  bool replace();
  bool replace_in_two_steps();
  std::string move_back(const std::exception& reason);
  void remove_replaced();

  std::filesystem::path final_;
  made_folders parents_;
  std::filesystem::path staging_;
  std::filesystem::path unpublished_;  ///< staging_ until it is published
  std::filesystem::path replaced_;     ///< hidden name of the folder that was replaced
  std::vector<std::string> replaced_files_;
  std::optional<folder_kind> replaces_;
};

}  // namespace negpipe::support
