#include "gzip_pieces.hpp"

#include <zlib.h>

#include <array>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>

#include "little_endian.hpp"

namespace negpipe::record {

namespace {

// Ids are almost random: higher levels take five times as long and save a few per cent.
constexpr int level = Z_BEST_SPEED;

struct deflate_end {
  void operator()(z_stream* stream) const { ::deflateEnd(stream); }
};

// Records are below 2 GiB, so lengths fit zlib's 32 bits.
uInt as_length(std::size_t size) {
  if (size > std::numeric_limits<uInt>::max()) throw std::length_error("a gzip piece of 4 GiB or more");
  return static_cast<uInt>(size);
}

}  // namespace

gzip_piece compress_piece(std::span<const std::byte> bytes) {
  z_stream stream{};
  constexpr int raw_window_bits = -15;
  constexpr int memory_level = 8;
  if (::deflateInit2(&stream, level, Z_DEFLATED, raw_window_bits, memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  const std::unique_ptr<z_stream, deflate_end> owner(&stream);
  gzip_piece piece;
  constexpr std::size_t flush_bytes = 16;  // deflateBound does not include a flush
  piece.deflated.resize(::deflateBound(&stream, bytes.size()) + flush_bytes);
  // zlib's interface lacks const here.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = as_length(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(piece.deflated.data());
  stream.avail_out = as_length(piece.deflated.size());
  if (::deflate(&stream, Z_SYNC_FLUSH) != Z_OK || stream.avail_in != 0 || stream.avail_out == 0) {
    throw std::logic_error("deflate left bytes behind");
  }
  piece.deflated.resize(piece.deflated.size() - stream.avail_out);
  piece.crc32 = static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), as_length(bytes.size())));
  piece.byte_count = bytes.size();
  return piece;
}

void gzip_checksum::add(const gzip_piece& piece) {
  crc32 = static_cast<std::uint32_t>(
      ::crc32_combine(crc32, piece.crc32, static_cast<z_off_t>(piece.byte_count)));
  byte_count += piece.byte_count;
}

std::span<const std::byte> gzip_header() {
  // Magic, deflate, no flags, no time, no extra flags, operating system unknown.
  static constexpr std::array<std::byte, 10> header{std::byte{0x1F}, std::byte{0x8B}, std::byte{8}, {}, {}, {}, {}, {},
                                                    {}, std::byte{0xFF}};
  return header;
}

std::vector<std::byte> gzip_trailer(const gzip_checksum& checksum) {
  std::vector<std::byte> trailer(10);
  trailer[0] = std::byte{0x03};  // an empty final block with fixed codes
  store_le<std::uint32_t>(trailer.data() + 2, checksum.crc32);
  store_le<std::uint32_t>(trailer.data() + 6, static_cast<std::uint32_t>(checksum.byte_count));
  return trailer;
}

}  // namespace negpipe::record
