// Files and folders that appear whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace negpipe::support {

/// Throws io_error: "cannot WHAT PATH: REASON", from errno, with advice where there is some (no permission); and
/// disk_full_error where there is no space.
[[noreturn]] void throw_io_error(std::string_view what, const std::filesystem::path& path);

/// An open file descriptor. Writing is checked; destruction closes without complaint.
class file {
 public:
  static file open_read(const std::filesystem::path& path);
  /// Creates or truncates.
  static file create(const std::filesystem::path& path);
  ~file();
  file(file&& other) noexcept;
  file& operator=(file&& other) noexcept;

  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const;
  void write(std::span<const std::byte> bytes);
  /// Safe to call from several threads for distinct ranges.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Asks the system to begin writing a range to disk, without waiting.
  void start_writeback(std::uint64_t offset, std::uint64_t length) noexcept;
  /// Waits until everything is on disk.
  void sync();
  /// Whether the path still leads to this file, and not to none or another. A file system that does not answer is not
  /// taken for a removal. Any thread.
  bool is_in_place() const;
  /// Closes and reports what a delayed write has to say.
  void close();

 private:
  file(int descriptor, std::filesystem::path path);
  int descriptor_ = -1;
  std::filesystem::path path_;
};

/// A whole file, mapped for reading. Empty files map to an empty span.
class mapped_file {
 public:
  explicit mapped_file(const std::filesystem::path& path);
  ~mapped_file();
  mapped_file(mapped_file&& other) noexcept;
  mapped_file& operator=(mapped_file&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Writes a small file beside its final name, syncs it and renames it over that name.
void publish_file(const std::filesystem::path& path, std::string_view text);

/// Syncs a folder, so that renames within it are on disk.
void sync_folder(const std::filesystem::path& folder);

/// As the standard library's, but what the system refuses is an io_error: no permission to look, or to remove.
bool exists(const std::filesystem::path& path);
void remove_all(const std::filesystem::path& path);
/// Makes a folder, and none above it. One that is there already is fine.
void make_folder(const std::filesystem::path& folder);

/// A folder in the making: work happens in a hidden sibling, which publish() renames to the final name. Without
/// publish() the sibling is removed again.
class staged_folder {
 public:
  /// The final folder's parents are created. The sibling stands in staging_parent if one is given, which must be on
  /// the same file system; then both parents must exist, so that a folder which somebody removes does not come back.
  /// Throws option_error if the final folder exists and replace is false.
  staged_folder(std::filesystem::path final_folder, bool replace, const std::filesystem::path& staging_parent = {});
  ~staged_folder();
  staged_folder(const staged_folder&) = delete;
  staged_folder& operator=(const staged_folder&) = delete;

  const std::filesystem::path& path() const { return staging_; }
  /// Syncs the folder, renames it, and syncs the rename. Files in it must have been synced. A parent that went
  /// meanwhile is made again, but nothing above it.
  void publish();
  /// The same without the last step: the caller does sync_folder() on the parent. When this throws, nothing is to be
  /// seen; when that does, the folder is published already.
  void publish_unsynced();

 private:
  std::filesystem::path replaced() const;

  std::filesystem::path final_;
  std::filesystem::path staging_;
  bool published_ = false;
};

}  // namespace negpipe::support
