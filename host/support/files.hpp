// Open files and queries of the file system. All errors of the system become io_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace negpipe::support {

/// Throws io_error "cannot WHAT PATH: REASON", with the reason from errno.
[[noreturn]] void throw_io_error(std::string_view what, const std::filesystem::path& path);
/// throw_io_error for operations that write, create, rename or remove: advises another path if permission is missing,
/// and throws disk_full_error if there is no space.
[[noreturn]] void throw_write_error(std::string_view what, const std::filesystem::path& path);

/// An open file descriptor. Writes are checked; the destructor closes and ignores errors.
class file {
 public:
  /// Opens a regular file for reading. Never blocks. Throws io_error, also for a FIFO, device, socket or folder.
  static file open_read(const std::filesystem::path& path);
  /// Opens a folder, to sync or identify it. Throws io_error.
  static file open_folder(const std::filesystem::path& path);
  /// Creates or truncates a file.
  static file create(const std::filesystem::path& path);
  /// Creates a new file. Returns empty if the name is taken, even by a dangling link.
  static std::optional<file> create_new(const std::filesystem::path& path);
  /// Opens a regular file for reading and writing, or creates it. Rejects links and other kinds of files.
  static file open_or_create(const std::filesystem::path& path);
  ~file();
  file(file&& other) noexcept;
  file& operator=(file&& other) noexcept;

  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const;
  /// Fills to with the bytes from an offset on. Returns their number, less than to.size() only at the end of the file.
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> to) const;
  void write(std::span<const std::byte> bytes);
  /// Thread-safe for disjoint ranges.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Asks the system to start writing a range to disk, without waiting.
  void start_writeback(std::uint64_t offset, std::uint64_t length) noexcept;
  /// Waits until all data is on disk.
  void sync();
  /// Returns whether the path still leads to this file. An error of the file system does not count as a removal.
  /// Thread-safe.
  bool is_in_place() const;
  /// Renames the file and replaces an existing one. path() returns the new path afterwards. Throws io_error.
  void rename_to(const std::filesystem::path& path);
  /// Closes the file and throws errors of delayed writes.
  void close();

 private:
  file(int descriptor, std::filesystem::path path);
  /// Throws io_error for anything but a regular file.
  void require_regular() const;
  int descriptor_ = -1;
  std::filesystem::path path_;
};

/// Size limit of JSON files: a ready.json that lists 100,000 record files is smaller.
inline constexpr std::uint64_t max_json_bytes = 16U << 20;

/// Returns the content of a small regular file. Never blocks, and never reads more than max_bytes, whatever size the
/// file reports. Throws io_error, and format_error for a larger file.
std::string read_text(const std::filesystem::path& path, std::uint64_t max_bytes);

/// A whole file, mapped for reading. Empty files map to an empty span. A change of the file in place shows in the
/// bytes; reading past the end of a file that was truncated ends in SIGBUS.
class mapped_file {
 public:
  explicit mapped_file(const std::filesystem::path& path);
  ~mapped_file();
  mapped_file(mapped_file&& other) noexcept;
  mapped_file& operator=(mapped_file&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return file_.path(); }
  /// Takes bytes [first, past) out of this process's memory. They stay readable, from the file.
  void release(std::size_t first, std::size_t past) const noexcept;
  /// Returns whether the file has the size and the time of modification that it had when it was mapped. A file that was
  /// renamed, removed or replaced by another is unchanged.
  bool is_unchanged() const;

 private:
  file file_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::int64_t modified_ns_ = 0;
};

/// A whole regular file: in memory, independent of later changes of the file, or mapped if it is large.
class file_contents {
 public:
  /// Reads at most max_bytes, whatever size the file has, or maps a file of at least map_from_bytes. Throws io_error,
  /// also if the file ends early.
  file_contents(const std::filesystem::path& path, std::uint64_t max_bytes,
                std::uint64_t map_from_bytes = std::numeric_limits<std::uint64_t>::max());

  std::span<const std::byte> bytes() const {
    return mapped_ ? mapped_->bytes().first(read_) : std::span<const std::byte>(data_.get(), read_);
  }
  /// Returns the file's size when it was opened; it may exceed the number of bytes read.
  std::uint64_t file_size() const { return file_size_; }
  /// Returns the mapping, empty if the file was read.
  const std::optional<mapped_file>& mapping() const { return mapped_; }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::optional<mapped_file> mapped_;
  std::size_t read_ = 0;
  std::uint64_t file_size_ = 0;
};

/// Syncs a folder, so that renames in it are on disk. Does nothing where the system does not support it.
void sync_folder(const std::filesystem::path& folder);

/// Returns the absolute path without a trailing slash or "..". Links on the way are followed; a link at the end is
/// kept.
std::filesystem::path full_path(const std::filesystem::path& path);

/// Like the functions of std::filesystem, following links, but throw io_error for errors of the system: no permission,
/// a link loop, a name that is too long, a file as a parent.
bool exists(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);
bool is_link(const std::filesystem::path& path);
/// Returns whether anything has that name, including a dangling link.
bool is_taken(const std::filesystem::path& path);
/// Returns whether a file system, or a part of one, is mounted at a folder; such a folder cannot be renamed. False if
/// nothing exists there.
bool is_mount_point(const std::filesystem::path& folder);
/// Calls visit for every entry of a folder.
void visit_entries(const std::filesystem::path& folder,
                   const std::function<void(const std::filesystem::path& entry)>& visit);
/// Creates a folder, but no parents. Does nothing if it exists.
void make_folder(const std::filesystem::path& folder);

}  // namespace negpipe::support
