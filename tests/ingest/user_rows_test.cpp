#include "user_rows.hpp"

#include <gtest/gtest.h>

namespace negpipe::ingest {
namespace {

TEST(user_rows, groups_in_file_order) {
  const std::vector<std::int32_t> users = {2, 0, 2, 2, 0};
  const user_rows grouped = group_by_user(users, 4);
  EXPECT_EQ(grouped.offsets, (std::vector<std::uint64_t>{0, 2, 2, 5, 5}));
  EXPECT_EQ(grouped.rows, (std::vector<std::uint64_t>{1, 4, 0, 2, 3}));
  EXPECT_EQ(grouped.user_count(), 4U);
  EXPECT_TRUE(grouped.of(1).empty());
}

// Users without rows, with one, and with almost all rows: every user is in one range, in order.
TEST(user_rows, splits_into_ranges_that_cover_all_users_once) {
  const std::vector<std::vector<std::uint64_t>> examples = {
      {0, 1}, {0, 0, 0, 0}, {0, 5, 5, 1000, 1001}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  for (const auto& offsets : examples) {
    for (const unsigned threads : {1U, 2U, 64U}) {
      std::size_t next = 0;
      for (const user_range range : split_evenly(offsets, threads)) {
        ASSERT_EQ(range.begin, next);
        ASSERT_LT(range.begin, range.end);
        next = range.end;
      }
      EXPECT_EQ(next, offsets.size() - 1);
    }
  }
}

}  // namespace
}  // namespace negpipe::ingest
