// Reads record files, plain or gzip, into memory that the caller may keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "files.hpp"
#include "inflater.hpp"

namespace negpipe::record {

/// Returns whether the length in the header of a TFRecord matches its checksum. header: frame_header_bytes.
bool header_is_sound(std::span<const std::byte> header);

/// The uncompressed bytes of a record file, in order. The file is read, not mapped: if it changes meanwhile, bytes are
/// old, new or missing. Memory is bounded by the largest number of bytes taken at once. Not thread-safe.
class record_bytes {
 public:
  /// Opens a file. Detects compression from the first bytes. Throws io_error.
  explicit record_bytes(const std::filesystem::path& path);

  bool is_gzip() const { return unzipped_.has_value(); }
  /// Returns the next count bytes, or fewer at the end of the file, valid until the next call. The caller may change
  /// them. Throws io_error, and format_error for damaged gzip data; the message does not name the file.
  std::span<std::byte> take(std::uint64_t count);
  /// Returns the memory of the bytes of the last take(). As long as it is held they stay valid, and nothing else is
  /// written there.
  std::shared_ptr<std::byte[]> share();
  /// Returns the CRC-32C of the compressed bytes that were read so far; 0 for a plain file.
  std::uint32_t compressed_crc32c() const { return compressed_crc32c_; }

 private:
  /// Makes count bytes available, or fewer at the end of the file.
  void fill(std::uint64_t count);
  /// Makes room for wanted bytes from begin_ on, and keeps the available ones.
  void reserve(std::size_t wanted);
  std::size_t read(std::span<std::byte> to);
  std::span<const std::byte> next_compressed();

  support::file file_;
  std::uint64_t offset_ = 0;                ///< in the file, of the next byte to read
  std::shared_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;                   ///< in memory_: bytes that were read and not taken yet
  std::size_t end_ = 0;
  bool is_shared_ = false;
  std::optional<inflater> unzipped_;
  std::vector<std::byte> compressed_;       ///< gzip: input of unzipped_
  std::uint32_t compressed_crc32c_ = 0;
};

}  // namespace negpipe::record
