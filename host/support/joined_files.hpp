// Ranges of several files at consecutive addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace negpipe::support {

/// Ranges of several files, one after the other in memory. A range is mapped, as in mapped_file, except for the pages
/// that it shares with its neighbours: those are copied. Not thread-safe while ranges are appended.
class joined_files {
 public:
  /// Reserves addresses for all ranges, but no memory. Throws io_error.
  explicit joined_files(std::uint64_t bytes);
  ~joined_files();
  joined_files(joined_files&& other) noexcept;
  joined_files& operator=(joined_files&& other) noexcept;

  /// Appends bytes [offset, offset + count) of a file.
  /// - map: maps the range's whole pages if (offset - bytes appended before) is a multiple of the page size. Otherwise
  ///   the range is read into memory.
  /// - Throws io_error, also if the file is shorter.
  void append(const std::filesystem::path& path, std::uint64_t offset, std::uint64_t count, bool map);

  /// Leaves addresses unused: a later range may be mapped only at a certain offset. `count` counts as appended.
  void skip(std::uint64_t count) { filled_ += static_cast<std::size_t>(count); }

  std::span<const std::byte> bytes() const { return {data_, filled_}; }
  std::size_t mapped_file_count() const { return mapped_.size(); }
  /// Returns the path of a mapped file whose size or time of modification has changed. Files that were removed or
  /// replaced are unchanged. Keeps no files open, so it does not see a change of a file that was also renamed.
  std::optional<std::filesystem::path> find_changed() const;

 private:
  struct mapped {
    std::filesystem::path path;
    std::uint64_t device;
    std::uint64_t inode;
    std::int64_t size;
    std::int64_t modified_ns;
  };

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t filled_ = 0;
  std::vector<mapped> mapped_;
};

}  // namespace negpipe::support
