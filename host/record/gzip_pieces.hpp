// Builds one gzip member (RFC 1952) from pieces that were deflated independently, as pigz does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace negpipe::record {

/// Raw deflate (RFC 1951) that ends on a byte boundary and refers to nothing before it.
struct gzip_piece {
  std::vector<std::byte> deflated;
  std::uint32_t crc32;
  std::uint64_t byte_count;  ///< before compression
};

/// A pure function of the bytes and the version of zlib.
gzip_piece compress_piece(std::span<const std::byte> bytes);

/// Checksum and length of all pieces so far, for the trailer.
struct gzip_checksum {
  std::uint32_t crc32 = 0;
  std::uint64_t byte_count = 0;

  void add(const gzip_piece& piece);
};

/// The ten bytes before the first piece: no name and no time, so that equal contents make equal files.
std::span<const std::byte> gzip_header();
/// What follows the last piece: an empty final block, CRC-32 and length.
std::vector<std::byte> gzip_trailer(const gzip_checksum& checksum);

}  // namespace negpipe::record
