#include "checksum.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "record_fixtures.hpp"

namespace negpipe {
namespace {

using test::bytes;

bytes counting(int first, int step) {
  bytes out(32);
  for (int i = 0; i < 32; ++i) out[static_cast<std::size_t>(i)] = static_cast<std::byte>(first + i * step);
  return out;
}

TEST(crc32c, gives_the_published_answers) {
  // RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
  const bytes read_command = [] {
    bytes out(48);
    const std::pair<std::size_t, int> set[] = {{0, 0x01}, {1, 0xC0}, {16, 0x14}, {22, 0x04}, {27, 0x14}, {31, 0x18},
                                               {32, 0x28}, {40, 0x02}};
    for (const auto& [offset, value] : set) out[offset] = static_cast<std::byte>(value);
    return out;
  }();
  const std::pair<bytes, std::uint32_t> answers[] = {{bytes(32), 0x8A9136AAU},
                                                     {bytes(32, std::byte{0xFF}), 0x62A8AB43U},
                                                     {counting(0, 1), 0x46DD794EU},
                                                     {counting(31, -1), 0x113FDB5CU},
                                                     {read_command, 0xD9963A56U},
                                                     {test::as_bytes("123456789"), 0xE3069283U},
                                                     {bytes{}, 0U}};
  for (const auto& [input, wanted] : answers) EXPECT_EQ(support::crc32c(input), wanted);
}

TEST(crc32c, is_the_same_in_pieces) {
  const bytes whole = test::random_bytes(1000, 1);
  for (std::size_t cut = 0; cut <= whole.size(); cut += 37) {
    const std::uint32_t first = support::crc32c(std::span(whole).first(cut));
    EXPECT_EQ(support::crc32c(std::span(whole).subspan(cut), first), support::crc32c(whole));
  }
}

TEST(masked_crc, gives_the_answers_of_tensorflow) {
  // As tf.io.TFRecordWriter writes them for the length 3 and the payload "abc".
  bytes length(8);
  length[0] = std::byte{3};
  EXPECT_EQ(record::mask_crc(support::crc32c(length)), 0x0E4999B0U);
  EXPECT_EQ(record::mask_crc(support::crc32c(test::as_bytes("abc"))), 0x21F1576EU);
  for (const std::uint32_t crc : {0U, 1U, 0x8000'0000U, 0xFFFF'FFFFU, 0xE306'9283U}) {
    EXPECT_EQ(record::unmask_crc(record::mask_crc(crc)), crc);
  }
}

TEST(crc_carry, joins_pieces_of_any_length) {
  for (const std::size_t length : {0U, 1U, 2U, 3U, 63U, 64U, 65U, 999U, 65'536U, 1'000'003U}) {
    const bytes a = test::random_bytes(101, 2);
    const bytes b = test::random_bytes(length, 3);
    bytes whole = a;
    whole.insert(whole.end(), b.begin(), b.end());
    EXPECT_EQ(record::crc32c_carry(length).join(support::crc32c(a), support::crc32c(b)), support::crc32c(whole));
  }
}

TEST(crc_of_records, is_that_of_the_file_in_any_order) {
  for (const std::size_t count : {1U, 2U, 3U, 64U, 65U, 1000U}) {
    constexpr std::size_t record_bytes = 37;
    const bytes whole = test::random_bytes(count * record_bytes, 4);
    record::crc32c_of_records sum(count, record_bytes);
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t i = k % 2 == 0 ? count - 1 - k / 2 : k / 2;  // from both ends
      sum.add(i, support::crc32c(std::span(whole).subspan(i * record_bytes, record_bytes)));
    }
    EXPECT_EQ(sum.value(), support::crc32c(whole)) << count;
  }
}

}  // namespace
}  // namespace negpipe
