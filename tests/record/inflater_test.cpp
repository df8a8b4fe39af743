#include "inflater.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string>

#include "gzip_pieces.hpp"
#include "negpipe/error.hpp"
#include "record_fixtures.hpp"

namespace negpipe {
namespace {

using test::bytes;

bytes gzip_member(std::span<const std::byte> content) {
  const record::gzip_piece piece = record::compress_piece(content);
  record::gzip_checksum checksum;
  checksum.add(piece);
  bytes out(record::gzip_header().begin(), record::gzip_header().end());
  out.insert(out.end(), piece.deflated.begin(), piece.deflated.end());
  const auto trailer = record::gzip_trailer(checksum);
  out.insert(out.end(), trailer.begin(), trailer.end());
  return out;
}

/// Gives content in parts of part_bytes.
record::inflater inflater_of(std::span<const std::byte> content, std::size_t part_bytes) {
  return record::inflater([content, part_bytes]() mutable {
    const auto part = content.first(std::min(part_bytes, content.size()));
    content = content.subspan(part.size());
    return part;
  });
}

/// Reads everything in steps of step bytes.
bytes inflate(std::span<const std::byte> compressed, std::size_t step) {
  record::inflater source = inflater_of(compressed, step);
  bytes out;
  for (;;) {
    bytes part(step);
    const std::size_t count = source.read(part);
    out.insert(out.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
    if (count < step) return out;
  }
}

std::string failure(std::span<const std::byte> compressed) {
  try {
    (void)inflate(compressed, 1000);
  } catch (const format_error& e) {
    return e.what();
  }
  return {};
}

TEST(inflater, returns_the_content_in_steps_of_any_size) {
  const bytes content = test::random_bytes(10'000, 1);
  const bytes compressed = gzip_member(content);
  for (const std::size_t step : std::initializer_list<std::size_t>{1, 7, 4096, 10'000, 20'000}) {
    EXPECT_EQ(inflate(compressed, step), content) << step;
  }
}

TEST(inflater, reads_consecutive_members_as_one_stream) {
  bytes compressed = gzip_member(test::as_bytes("first "));
  for (const char* text : {"", "second"}) {
    const bytes member = gzip_member(test::as_bytes(text));
    compressed.insert(compressed.end(), member.begin(), member.end());
  }
  EXPECT_EQ(inflate(compressed, 5), test::as_bytes("first second"));
}

TEST(inflater, returns_nothing_after_the_end) {
  const bytes compressed = gzip_member(test::as_bytes("all"));
  record::inflater source = inflater_of(compressed, compressed.size());
  bytes part(10);
  EXPECT_EQ(source.read(part), 3U);
  EXPECT_EQ(source.read(part), 0U);
  EXPECT_EQ(source.read({}), 0U);
}

TEST(inflater, rejects_truncated_members_and_data_after_the_last_one) {
  const bytes member = gzip_member(test::as_bytes("content"));
  for (std::size_t length = 0; length < member.size(); ++length) {
    EXPECT_NE(failure(std::span(member).first(length)).find("ends early"), std::string::npos) << length;
  }
  bytes padded = member;
  padded.resize(padded.size() + 4);
  EXPECT_NE(failure(padded).find("damaged"), std::string::npos);
}

TEST(inflater, rejects_a_wrong_checksum) {
  bytes damaged = gzip_member(test::as_bytes("content"));
  damaged[damaged.size() - 8] ^= std::byte{1};
  EXPECT_NE(failure(damaged).find("incorrect data check"), std::string::npos) << failure(damaged);
}

}  // namespace
}  // namespace negpipe
