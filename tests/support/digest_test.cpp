// MD5 and CRC-32C against the vectors of RFC 1321 and RFC 3720, in one piece and in several.
#include "digest.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::support {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string md5_of(std::string_view text) {
  md5 digest;
  digest.update(bytes(text));
  return digest.hex();
}

TEST(md5, equals_the_published_vectors) {
  EXPECT_EQ(md5_of(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(md5_of("a"), "0cc175b9c0f1b6a831c399e269772661");
  EXPECT_EQ(md5_of("abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(md5_of("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(md5_of("abcdefghijklmnopqrstuvwxyz"), "c3fcd3d76192e4007dfb496cca67e13b");
  EXPECT_EQ(md5_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
            "d174ab98d277d9f5a5611c2c9f419d9f");
  EXPECT_EQ(md5_of("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57edf4a22be3c955ac49da2e2107b67a");
}

TEST(md5, does_not_depend_on_pieces_and_continues_after_hex) {
  const std::string text = "12345678901234567890123456789012345678901234567890123456789012345678901234567890";
  md5 digest;
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_EQ(digest.hex(), md5_of(text.substr(0, i)));
    digest.update(bytes(text).subspan(i, 1));
  }
  md5 moved(std::move(digest));
  EXPECT_EQ(moved.hex(), md5_of(text));
}

TEST(crc32c, equals_the_published_vectors) {
  EXPECT_EQ(crc32c(bytes("")), 0U);
  EXPECT_EQ(crc32c(bytes("123456789")), 0xE3069283U);
  std::vector<std::byte> block(32);
  EXPECT_EQ(crc32c(block), 0x8A9136AAU);
  std::ranges::fill(block, std::byte{0xFF});
  EXPECT_EQ(crc32c(block), 0x62A8AB43U);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(block), 0x46DD794EU);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(31 - i);
  EXPECT_EQ(crc32c(block), 0x113FDB5CU);
  for (std::size_t cut = 0; cut <= block.size(); ++cut) {
    EXPECT_EQ(crc32c(std::span(block).subspan(cut), crc32c(std::span(block).first(cut))), 0x113FDB5CU) << cut;
  }
}

}  // namespace
}  // namespace negpipe::support
