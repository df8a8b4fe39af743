#include "waiting_pieces.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "negpipe/error.hpp"
#include "record_fixtures.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

using record::gzip_piece;
using record::waiting_pieces;

gzip_piece piece_of(std::uint64_t place, std::size_t bytes) {
  return {test::random_bytes(bytes, static_cast<unsigned>(place)), static_cast<std::uint32_t>(place), bytes + 1};
}

void expect_taken(waiting_pieces& waiting, std::uint64_t place, std::size_t bytes) {
  const auto taken = waiting.take(place);
  ASSERT_TRUE(taken) << place;
  const gzip_piece wanted = piece_of(place, bytes);
  EXPECT_EQ(taken->deflated, wanted.deflated);
  EXPECT_EQ(taken->crc32, wanted.crc32);
  EXPECT_EQ(taken->byte_count, wanted.byte_count);
  EXPECT_FALSE(waiting.take(place)) << "taken twice";
}

TEST(WaitingPieces, TakeNoMoreMemoryThanTheyMayHoweverManyThereAre) {
  const test::temporary_folder folder;
  for (const std::uint64_t limit : {0U, 999U, 1000U, 10'500U, 1'000'000U}) {
    waiting_pieces waiting(folder / "waiting", limit);
    for (int round = 0; round < 2; ++round) {
      for (std::uint64_t place = 100; place > 0; --place) {
        waiting.put(place, piece_of(place, 1000));
        EXPECT_LE(waiting.memory_bytes(), limit);
      }
      EXPECT_EQ(waiting.memory_bytes(), std::min<std::uint64_t>(limit, 100'000) / 1000 * 1000);
      EXPECT_FALSE(waiting.take(0));
      for (std::uint64_t place = 1; place <= 100; ++place) expect_taken(waiting, place, 1000);
      EXPECT_EQ(waiting.memory_bytes(), 0U);
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "the file has no name";
}

TEST(WaitingPieces, MayBeOfAnySize) {
  const test::temporary_folder folder;
  waiting_pieces waiting(folder / "waiting", 100);
  const std::size_t sizes[] = {0, 1, 99, 100, 101, 5000, 0};
  for (std::uint64_t place = 0; place < std::size(sizes); ++place) waiting.put(place, piece_of(place, sizes[place]));
  for (std::uint64_t place = std::size(sizes); place-- > 0;) expect_taken(waiting, place, sizes[place]);
}

TEST(WaitingPieces, SayWhereTheyCannotBeKept) {
  const test::temporary_folder folder;
  waiting_pieces waiting(folder / "none/waiting", 0);
  EXPECT_THROW(waiting.put(1, piece_of(1, 10)), io_error);
}

}  // namespace
}  // namespace negpipe
