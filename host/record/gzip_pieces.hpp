// Builds one gzip member (RFC 1952) from independently deflated pieces, as pigz does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace negpipe::record {

/// Raw deflate data (RFC 1951) that ends on a byte boundary and does not refer to earlier data.
struct gzip_piece {
  std::vector<std::byte> deflated;
  std::uint32_t crc32;
  std::uint64_t byte_count;  ///< before compression
};

/// Compresses bytes, fewer than 4 GiB. The result depends only on them and on the version of zlib. Thread-safe.
gzip_piece compress_piece(std::span<const std::byte> bytes);

/// Checksum and length of the pieces added so far, for the trailer.
struct gzip_checksum {
  std::uint32_t crc32 = 0;
  std::uint64_t byte_count = 0;

  void add(const gzip_piece& piece);
};

/// Returns the ten bytes before the first piece. They hold no name and no time, so equal contents give equal files.
std::span<const std::byte> gzip_header();
/// Returns the bytes after the last piece: an empty final block, CRC-32 and length.
std::vector<std::byte> gzip_trailer(const gzip_checksum& checksum);

}  // namespace negpipe::record
