// Unnamed files, and memory that is backed by one, for data that may exceed the machine's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "files.hpp"

namespace negpipe::support {

/// Creates a file without a name, for reading and writing; its space is free again when it is closed. A kill during the
/// call may leave an empty file. Throws io_error.
file create_unnamed(const std::filesystem::path& folder);

/// Reads bytes at an offset, all of which must exist. Thread-safe. Throws io_error.
void read_at(const file& from, std::uint64_t offset, std::span<std::byte> out);

/// A fixed number of zero bytes in an unnamed file, mapped for reading and writing. The system writes pages to disk and
/// drops them when memory is short. The space is reserved at once, so that a full disk is an error here and not a
/// signal later; it is free again when the object or the process ends.
class disk_bytes {
 public:
  /// Throws io_error, disk_full_error. bytes > 0.
  disk_bytes(const std::filesystem::path& folder, std::uint64_t bytes);
  ~disk_bytes();
  disk_bytes(const disk_bytes&) = delete;
  disk_bytes& operator=(const disk_bytes&) = delete;

  std::span<std::byte> bytes() { return {data_, size_}; }
  /// Releases the process's pages of the first bytes; they are read from the page cache or the disk when used again.
  void release_until(std::uint64_t offset) noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t released_ = 0;
};

}  // namespace negpipe::support
