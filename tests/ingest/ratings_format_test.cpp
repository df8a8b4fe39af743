#include "ratings_format.hpp"

#include <gtest/gtest.h>

#include <string>

#include "negpipe/error.hpp"

namespace negpipe::ingest {
namespace {

std::string refusal(std::string_view text) {
  try {
    detect_format("r.csv", text);
  } catch (const input_error& failure) {
    return failure.what();
  }
  return "accepted";
}

void expect_columns(const ratings_format& format, std::size_t user, std::size_t item, std::size_t timestamp) {
  EXPECT_EQ(format.user, user);
  EXPECT_EQ(format.item, item);
  EXPECT_EQ(format.timestamp, timestamp);
}

TEST(RatingsFormat, FindsCsvColumnsByNameInAnyOrder) {
  const auto usual = detect_format("r.csv", "userId,movieId,rating,timestamp\n1,2,3,4\n");
  expect_columns(usual, 0, 1, 3);
  EXPECT_EQ(usual.column_count, 4U);
  EXPECT_EQ(usual.header_bytes, 32U);
  EXPECT_TRUE(usual.has_header);
  const auto other = detect_format("r.csv", "\xEF\xBB\xBFtimestamp,\"x,y\", item_id ,user_id\r\n");
  expect_columns(other, 3, 2, 0);
  EXPECT_EQ(other.header_bytes, 3U + 35U);
}

TEST(RatingsFormat, KnowsTheFilesOfMovieLensWithoutHeader) {
  const auto dat = detect_format("ratings.dat", "1::1193::5::978300760\n");
  EXPECT_EQ(dat.by, separator::double_colon);
  expect_columns(dat, 0, 1, 3);
  EXPECT_FALSE(dat.has_header);
  EXPECT_EQ(dat.header_bytes, 0U);
  const auto data = detect_format("u.data", "196\t242\t3\t881250949\n");
  EXPECT_EQ(data.by, separator::tab);
  EXPECT_FALSE(data.has_header);
  const auto named = detect_format("u.tsv", "item_id\tuser_id\ttimestamp\n");
  EXPECT_TRUE(named.has_header);
  expect_columns(named, 1, 0, 2);
}

TEST(RatingsFormat, RefusesWhatHasNoColumns) {
  EXPECT_EQ(refusal(""), "r.csv: the file is empty; wanted ratings");
  EXPECT_EQ(refusal("\xEF\xBB\xBF"), "r.csv: the file is empty; wanted ratings");
  EXPECT_EQ(
      refusal("user_id,item_id,rating\n1,2,3\n"),
      "r.csv:1: no timestamp column: found \"user_id, item_id, rating\"; wanted a header with the columns user_id "
      "(or userId), item_id (or movieId) and timestamp, in any order");
  EXPECT_NE(refusal("1,31,2.5,1260759144\n").find("r.csv:1: no user column: found \"1, 31, 2.5, 1260759144\""),
            std::string::npos);
  EXPECT_EQ(refusal("user_id,userId,item_id,timestamp\n"), "r.csv:1: two user columns, 1 and 2; rename or remove one");
  EXPECT_EQ(refusal("\"user_id,item_id\n"), "r.csv:1:1: a quoted column name does not end before the next comma");
}

}  // namespace
}  // namespace negpipe::ingest
