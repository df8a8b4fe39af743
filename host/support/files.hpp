// Open files, and what is asked of the file system: whatever it refuses is an io_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace negpipe::support {

/// Throws io_error: "cannot WHAT PATH: REASON", from errno.
[[noreturn]] void throw_io_error(std::string_view what, const std::filesystem::path& path);
/// The same where something was to be written, made, renamed or removed: with the advice to choose another path where
/// there is no permission, and as disk_full_error where there is no space.
[[noreturn]] void throw_write_error(std::string_view what, const std::filesystem::path& path);

/// An open file descriptor. Writing is checked; destruction closes without complaint.
class file {
 public:
  /// Opens a regular file for reading. Never blocks: a FIFO, device, socket or folder is refused. Throws io_error.
  static file open_read(const std::filesystem::path& path);
  /// Opens a folder, to sync it or to recognise it again. Throws io_error.
  static file open_folder(const std::filesystem::path& path);
  /// Creates or truncates.
  static file create(const std::filesystem::path& path);
  /// Creates a file that was not there; empty when the name is taken, even by a link that leads nowhere.
  static std::optional<file> create_new(const std::filesystem::path& path);
  /// Opens a regular file for reading and writing, or creates it. A link or another kind of file is refused.
  static file open_or_create(const std::filesystem::path& path);
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
  /// Whether the path still leads to this file, and not to none or another. An error of the file system is not taken
  /// for a removal. Any thread.
  bool is_in_place() const;
  /// Renames the file, over one that is there; path() is the new path from then on. Throws io_error.
  void rename_to(const std::filesystem::path& path);
  /// Closes and reports what a delayed write has to say.
  void close();

 private:
  file(int descriptor, std::filesystem::path path);
  /// Throws io_error for anything but a regular file.
  void require_regular() const;
  int descriptor_ = -1;
  std::filesystem::path path_;
};

/// Size limit of read_text for JSON files: a ready.json that lists 100,000 record files stays below it.
inline constexpr std::uint64_t max_json_bytes = 16U << 20;

/// Returns the content of a small regular file. Never blocks, and never reads more than max_bytes, whatever size the
/// file claims. Throws io_error, and format_error for a file that is larger.
std::string read_text(const std::filesystem::path& path, std::uint64_t max_bytes);

/// A whole regular file, read into memory: what happens to the file later does not reach it.
class file_contents {
 public:
  /// Reads no more than max_bytes, whatever size the file has. Throws io_error, also when the file ends early.
  file_contents(const std::filesystem::path& path, std::uint64_t max_bytes);

  std::span<const std::byte> bytes() const { return {data_.get(), read_}; }
  /// The file's size when it was opened, which may be more than what was read.
  std::uint64_t file_size() const { return file_size_; }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t read_ = 0;
  std::uint64_t file_size_ = 0;
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

/// Syncs a folder, so that renames within it are on disk; where that is not to be had, does nothing.
void sync_folder(const std::filesystem::path& folder);

/// From the root on, without a slash at its end and without "..": the folder that the system means, links followed. A
/// link at the end stays one.
std::filesystem::path full_path(const std::filesystem::path& path);

/// As the standard library's, links followed, but what the system refuses is an io_error: no permission to look or to
/// remove, a link that leads to itself, a name that is too long, a file where a folder should be on the way.
bool exists(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);
bool is_link(const std::filesystem::path& path);
/// Whether there is anything of that name: a link that leads nowhere is in the way, too.
bool is_taken(const std::filesystem::path& path);
/// Whether another file system, or another part of one, is shown at a folder: no such folder can be renamed. False of
/// what is not there.
bool is_mount_point(const std::filesystem::path& folder);
/// Calls visit for every entry of a folder.
void visit_entries(const std::filesystem::path& folder,
                   const std::function<void(const std::filesystem::path& entry)>& visit);
/// Makes a folder, and none above it. One that is there already is fine.
void make_folder(const std::filesystem::path& folder);

}  // namespace negpipe::support
