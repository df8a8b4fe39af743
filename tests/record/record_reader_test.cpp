#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "digest.hpp"
#include "files.hpp"
#include "gzip_pieces.hpp"
#include "negpipe/error.hpp"
#include "record_fixtures.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

using test::bytes;

/// Returns whether a byte has unused bits: deflate pads the byte before the empty stored block (00 00 FF FF) that ends
/// a piece, and the one before the CRC-32 and length of the trailer.
bool holds_unused_bits(const bytes& file, std::size_t offset) {
  const bytes mark{std::byte{0}, std::byte{0}, std::byte{0xFF}, std::byte{0xFF}};
  constexpr std::size_t crc_and_length = 8;
  const auto after = file.begin() + static_cast<std::ptrdiff_t>(offset) + 1;
  return offset + 1 + crc_and_length == file.size() ||
         (offset + 1 + mark.size() <= file.size() && std::equal(mark.begin(), mark.end(), after));
}

class record_reader_test : public ::testing::Test {
 protected:
  std::vector<bytes> read(const bytes& content) {
    test::write_bytes(path_, content);
    return test::read_payloads(path_);
  }
  std::string failure(const bytes& content) {
    try {
      (void)read(content);
    } catch (const format_error& e) {
      return e.what();
    }
    return {};
  }

  test::temporary_folder folder_;
  std::filesystem::path path_ = folder_ / "file";
};

bytes join(std::initializer_list<bytes> parts) {
  bytes out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

bytes gzip(const std::vector<bytes>& parts) {
  const auto header = record::gzip_header();
  bytes out(header.begin(), header.end());
  record::gzip_checksum checksum;
  for (const auto& part : parts) {
    const auto piece = record::compress_piece(part);
    checksum.add(piece);
    out.insert(out.end(), piece.deflated.begin(), piece.deflated.end());
  }
  return join({out, record::gzip_trailer(checksum)});
}

const std::vector<bytes> three{test::as_bytes("first"), {}, test::as_bytes("the third, which is longer")};

bytes three_frames() { return join({test::frame(three[0]), test::frame(three[1]), test::frame(three[2])}); }

TEST_F(record_reader_test, reads_plain_and_gzip_files) {
  EXPECT_EQ(read(three_frames()), three);
  EXPECT_EQ(read(gzip({test::frame(three[0]), test::frame(three[1]), test::frame(three[2])})), three);
  EXPECT_EQ(read(join({gzip({test::frame(three[0])}), gzip({test::frame(three[1]), test::frame(three[2])})})), three);
}

TEST_F(record_reader_test, accepts_empty_files) {
  EXPECT_TRUE(read({}).empty());
  EXPECT_TRUE(read(gzip({})).empty());
}

TEST_F(record_reader_test, reads_a_plain_file_that_starts_with_the_gzip_magic) {
  // The first bytes of the length 0x8B1F are gzip's magic bytes.
  const bytes payload = test::random_bytes(0x8B1F, 4);
  EXPECT_EQ(read(test::frame(payload)), std::vector<bytes>{payload});
}

TEST_F(record_reader_test, detects_a_flipped_bit_anywhere) {
  const bytes good = three_frames();
  for (std::size_t offset = 0; offset < good.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes damaged = good;
      damaged[offset] ^= static_cast<std::byte>(1 << bit);
      EXPECT_NE(failure(damaged), "") << "byte " << offset << ", bit " << bit;
    }
  }
}

TEST_F(record_reader_test, detects_a_flipped_bit_in_gzip) {
  const bytes good = gzip({test::frame(three[0]), test::frame(three[2])});
  constexpr std::size_t header = 10;  // its time and operating system do not concern the content
  int unused = 0;
  for (std::size_t offset = header; offset < good.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes damaged = good;
      damaged[offset] ^= static_cast<std::byte>(1 << bit);
      try {
        // A flip that is not detected must not change the content.
        EXPECT_EQ(read(damaged), (std::vector<bytes>{three[0], three[2]})) << "byte " << offset << ", bit " << bit;
        EXPECT_TRUE(holds_unused_bits(good, offset)) << "byte " << offset << ", bit " << bit;
        ++unused;
      } catch (const format_error&) {
      }
    }
  }
  EXPECT_LT(unused, 3 * 8) << "two pieces and the final block, each padded with fewer than 8 bits";
}

TEST_F(record_reader_test, detects_truncation_at_every_length) {
  const bytes good = three_frames();
  const std::size_t ends[] = {0, 21, 37, good.size()};  // a file cut between records is a shorter file
  for (std::size_t length = 0; length < good.size(); ++length) {
    const bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(failure(cut).empty(), std::ranges::count(ends, length) == 1) << length;
  }
  const bytes zipped = gzip({three_frames()});
  for (std::size_t length = 1; length < zipped.size(); ++length) {
    const bytes cut(zipped.begin(), zipped.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_NE(failure(cut), "") << length;
  }
}

TEST_F(record_reader_test, names_file_record_and_offset) {
  bytes damaged = three_frames();
  damaged.back() ^= std::byte{1};
  const std::string message = failure(damaged);
  EXPECT_NE(message.find(path_.string() + ": record 2 at byte 37: "), std::string::npos) << message;
  EXPECT_NE(message.find("CRC-32C"), std::string::npos) << message;
}

TEST_F(record_reader_test, allocates_no_memory_for_a_false_length) {
  for (const std::uint64_t length : {std::uint64_t{0x7FFF'FFFF}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    bytes header(record::frame_header_bytes);
    record::store_le<std::uint64_t>(header.data(), length);
    record::store_le<std::uint32_t>(header.data() + 8, record::mask_crc(support::crc32c(std::span(header).first(8))));
    EXPECT_NE(failure(header), "") << length;
    EXPECT_NE(failure(gzip({header, bytes(1000)})), "") << length;
  }
}

TEST_F(record_reader_test, rejects_payloads_above_the_limit_before_allocating) {
  const bytes payload(1000);
  for (const auto compression : {compression_type::none, compression_type::gzip}) {
    const bytes plain = test::frame(payload);
    test::write_bytes(path_, compression == compression_type::gzip ? gzip({plain}) : plain);
    std::span<const std::byte> found;
    EXPECT_TRUE(record_reader(path_, compression, 1000).next(found));
    EXPECT_THROW(record_reader(path_, compression, 999).next(found), format_error);
  }
}

TEST_F(record_reader_test, rejects_a_compression_other_than_the_listed_one) {
  test::write_bytes(path_, three_frames());
  EXPECT_THROW(record_reader(path_, compression_type::gzip, 1000), format_error);
  test::write_bytes(path_, gzip({three_frames()}));
  EXPECT_THROW(record_reader(path_, compression_type::none, 1000), format_error);
  test::write_bytes(path_, {});  // no records, but no gzip stream either
  EXPECT_THROW(record_reader(path_, compression_type::gzip, 1000), format_error);
}

TEST_F(record_reader_test, keeps_shared_payloads_while_it_reads_on) {
  std::vector<bytes> payloads;
  for (const std::size_t size : {1'000U, 300'000U, 300'000U, 10U, 20U, 5'000'000U, 300'000U}) {
    payloads.push_back(test::random_bytes(size, static_cast<unsigned>(payloads.size())));
  }
  bytes plain;
  for (const bytes& payload : payloads) plain = join({plain, test::frame(payload)});
  for (const bytes& content : {plain, gzip({plain})}) {
    test::write_bytes(path_, content);
    record_reader reader(path_);
    std::vector<std::shared_ptr<const std::byte[]>> memory;
    std::vector<std::span<const std::byte>> read;
    for (std::span<const std::byte> payload; reader.next(payload); read.push_back(payload)) {
      memory.push_back(reader.share());
    }
    ASSERT_EQ(read.size(), payloads.size());
    for (std::size_t i = 0; i < read.size(); ++i) EXPECT_TRUE(std::ranges::equal(read[i], payloads[i])) << i;
  }
}

TEST_F(record_reader_test, refuses_a_file_that_is_truncated_while_it_is_read) {
  const bytes one = test::frame(test::random_bytes(300'000, 1));
  test::write_bytes(path_, join({one, one, one}));
  record_reader reader(path_);
  std::span<const std::byte> payload;
  ASSERT_TRUE(reader.next(payload));
  std::filesystem::resize_file(path_, one.size() + 200'000);
  EXPECT_THROW(reader.next(payload), format_error);
}

TEST_F(record_reader_test, knows_the_checksum_of_the_file_at_its_end) {
  const bytes other = test::random_bytes(200'000, 1);  // more than what is read ahead
  const auto frames = {test::frame(other), test::frame(three[0]), test::frame(three[1]), test::frame(three[0]),
                       test::frame(other)};
  for (const bytes& content : {three_frames(), join(frames), gzip(frames), bytes{},
                               join({gzip({test::frame(three[0])}), gzip({test::frame(three[1])})})}) {
    test::write_bytes(path_, content);
    record_reader reader(path_);
    for (std::span<const std::byte> payload; reader.next(payload);) {
    }
    EXPECT_EQ(reader.file_crc32c(), support::crc32c(content)) << content.size();
  }
}

TEST_F(record_reader_test, rejects_a_missing_file) { EXPECT_THROW(record_reader(folder_ / "none"), io_error); }

/// Returns the resident bytes of this process.
std::uint64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::uint64_t sum = 0;
  for (std::string word; status >> word;) {
    if (word != "RssFile:" && word != "RssAnon:") continue;
    std::uint64_t kib = 0;
    status >> kib;
    sum += kib << 10;
  }
  return sum;
}

TEST_F(record_reader_test, holds_a_part_of_a_large_file_in_memory) {
  constexpr std::uint64_t limit = std::uint64_t{24} << 20;
  const bytes record = test::frame(bytes(std::size_t{1} << 20, std::byte{7}));
  bytes content;
  for (int i = 0; i < 64; ++i) content.insert(content.end(), record.begin(), record.end());
  test::write_bytes(path_, content);
  const std::uint64_t before = resident_bytes();
  if (before == 0) GTEST_SKIP() << "the system does not say how much memory is resident";

  record_reader reader(path_);
  for (std::span<const std::byte> payload; reader.next(payload);) {
    ASSERT_EQ(payload.back(), std::byte{7});
    ASSERT_LT(resident_bytes(), before + limit);
  }
  const support::mapped_file file(path_);
  EXPECT_EQ(support::crc32c(file), support::crc32c(content));
  EXPECT_LT(resident_bytes(), before + limit);
}

}  // namespace
}  // namespace negpipe
