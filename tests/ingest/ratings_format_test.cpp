#include "ratings_format.hpp"

#include <gtest/gtest.h>

#include <string>

#include "negpipe/error.hpp"
#include "support/refusal.hpp"

namespace negpipe::ingest {
namespace {

ratings_format detect(std::string_view text, const table_options& table = {}) {
  prepare_options options;
  options.table = table;
  return detect_format("r.csv", text, options);
}

std::string refusal(std::string_view text, const table_options& table = {}) {
  return test::refusal([&] { detect(text, table); });
}

void expect_columns(const ratings_format& format, std::size_t user, std::size_t item, std::size_t timestamp) {
  EXPECT_EQ(format.user, user);
  EXPECT_EQ(format.item, item);
  EXPECT_EQ(format.timestamp, timestamp);
}

TEST(ratings_format, finds_columns_by_name_in_any_order) {
  const auto usual = detect("userId,movieId,rating,timestamp\n1,2,3,4\n");
  expect_columns(usual, 0, 1, 3);
  EXPECT_EQ(usual.column_count, 4U);
  EXPECT_EQ(usual.rows_begin, 32U);
  EXPECT_TRUE(usual.has_header);
  const auto other = detect("\xEF\xBB\xBFtimestamp,\"x,y\", item_id ,user_id\r\n");
  expect_columns(other, 3, 2, 0);
  EXPECT_EQ(other.rows_begin, 3U + 35U);
}

TEST(ratings_format, knows_the_files_of_movielens_without_header) {
  const auto dat = detect("1::1193::5::978300760\n");
  EXPECT_EQ(dat.syntax.by, separator::double_colon);
  expect_columns(dat, 0, 1, 3);
  EXPECT_FALSE(dat.has_header);
  EXPECT_EQ(dat.rows_begin, 0U);
  const auto data = detect("196\t242\t3\t881250949\n");
  EXPECT_EQ(data.syntax.by, separator::tab);
  EXPECT_FALSE(data.has_header);
  const auto named = detect("item_id\tuser_id\ttimestamp\n");
  EXPECT_TRUE(named.has_header);
  expect_columns(named, 1, 0, 2);
}

TEST(ratings_format, refuses_what_has_no_columns) {
  EXPECT_EQ(refusal(""), "r.csv: the file is empty; wanted ratings");
  EXPECT_EQ(refusal("\xEF\xBB\xBF"), "r.csv: the file is empty; wanted ratings");
  EXPECT_EQ(refusal("user_id,item_id,rating\n1,2,3\n"),
            "r.csv:1: no time column among \"user_id, item_id, rating\"; choose one with `time_column`, or set `order` "
            "to file "
            "if the rows of each user are in the order of time");
  EXPECT_EQ(
      refusal("a,b,timestamp\n1,2,3\n"),
      "r.csv:1: no user column among \"a, b, timestamp\"; name it with `user_column` (a name, or a number from 1), "
      "or see `header` if this line is a rating");
  EXPECT_EQ(refusal("user_id,userId,item_id,timestamp\n"),
            "r.csv:1: 2 columns may hold the user: \"user_id\" (column 1) and \"userId\" (column 2); choose one with "
            "`user_column`");
  EXPECT_EQ(refusal("\"user_id,item_id\n"), "r.csv:1:1: a quoted field does not end before the next separator");
  EXPECT_EQ(refusal("1,2,3,4,5,6\n").rfind("r.csv:1: no header, and no known order of 6 columns", 0), 0U);
  EXPECT_EQ(refusal("1,2,3\n4,5,5\n").rfind("r.csv:1: no time column among 3 columns", 0), 0U) << "it may be a rating";
}

TEST(ratings_format, names_the_layout_of_lists_of_equal_length) {
  const std::string hint = "; if each line holds a user and its items, set `layout` to item-lists";
  for (const char* lists : {"1 7 8\n2 7 9\n3 8 9\n", "1 5 6 7 9\n2 6 7 8 9\n3 5 8 9 9\n"}) {
    EXPECT_TRUE(refusal(lists).ends_with(hint)) << refusal(lists);
  }
  for (const char* others : {"1 7 8\n1 7 9\n", "1 5 6 7 9\n1 6 7 8 9\n", "1 7\n2 8\n", "1 a 3\n2 b 4\n", "1 7 8\n",
                             "user_id item_id rating\n1 2 3\n2 2 3\n"}) {
    EXPECT_EQ(refusal(others).find(hint), std::string::npos) << refusal(others);
  }
}

TEST(ratings_format, prefers_common_names_to_those_of_one_domain) {
  const auto format = detect("session_id,user_id,movieId,date,time,timestamp\n");
  expect_columns(format, 1, 2, 5);
  EXPECT_EQ(refusal("user_id,track_id,artist_id,timestamp\n").rfind("r.csv:1: 2 columns may hold the item: ", 0), 0U);
}

TEST(ratings_format, uses_chosen_columns) {
  expect_columns(detect("a,b,c\n1,2,3\n", {.user_column = "B", .item_column = "3", .time_column = "a"}), 1, 2, 0);
  expect_columns(detect("9,7,8\n", {.user_column = "3", .item_column = "1", .time_column = "2"}), 2, 0, 1);
  EXPECT_EQ(
      refusal("user_id,item_id,timestamp\n", {.user_column = "customer"}),
      "r.csv:1: `user_column` \"customer\" is not a column: the columns are \"user_id, item_id, timestamp\"; give a "
      "name of the header or a number from 1 to 3");
  EXPECT_NE(refusal("1,2,3\n", {.user_column = "4", .item_column = "1", .time_column = "2"}).find("number from 1 to 3"),
            std::string::npos);
  EXPECT_NE(refusal("user_id,item_id,timestamp\n", {.item_column = "1"}).find("are not three columns"),
            std::string::npos);
}

TEST(ratings_format, finds_the_separator_by_names_and_by_equal_numbers_of_fields) {
  EXPECT_EQ(detect("user_id;item_id;note;timestamp\n1;2;a,b,c,d,e,f;4\n").syntax.by, separator::semicolon);
  EXPECT_EQ(detect("1|2|3|978300760\n1|3|4|978300760\n").syntax.by, separator::pipe);
  EXPECT_EQ(detect("1;2;3,5;978300760\n1;3;4,5;978300760\n").syntax.by, separator::semicolon);
  EXPECT_EQ(detect("u1,The Wall,5,978300760\nu2,The Wall,5,978300760\n").syntax.by, separator::comma);
  EXPECT_EQ(detect("% bip\n1  2 3\t978300760\n", {}).syntax.by, separator::spaces);
  EXPECT_EQ(detect("user^item^time\n", {.separator = "^"}).syntax.by, static_cast<separator>('^'));
  EXPECT_EQ(refusal("user,item,time\n", {.separator = ",,"}).rfind("`separator` is \",,\"; wanted one character", 0),
            0U);
}

TEST(ratings_format, skips_lines_before_the_table) {
  const auto excel = detect("sep=;\nuser_id;item_id;timestamp\n1;2;3\n");
  EXPECT_EQ(excel.syntax.by, separator::semicolon);
  EXPECT_EQ(excel.lines_before, 2U);
  const auto konect = detect("% bip weighted\n% 3 1 2\n1 2 3 978300760\n");
  EXPECT_EQ(konect.comment, '%');
  EXPECT_EQ(konect.lines_before, 2U);
  const auto remark = detect("# exported\nuser_id,item_id,timestamp\n1,2,3\n");
  EXPECT_TRUE(remark.has_header);
  EXPECT_EQ(remark.lines_before, 2U);
  const auto numpy = detect("# user_id item_id timestamp\n1 2 3\n");
  EXPECT_EQ(numpy.names.front(), "user_id");
  const auto ids = detect("#a,b,978300760\n#c,d,978300761\n");
  EXPECT_EQ(ids.lines_before, 0U) << "ids may begin with #";
}

TEST(ratings_format, reports_assumptions_about_columns_without_names) {
  EXPECT_NE(detect("1\t2\t3\t978300760\n").assumed.find("column 1 is the user, 2 the item, 3 the rating, 4 the time"),
            std::string::npos);
  expect_columns(detect("1\t55\t1000\t5\n1\t56\t2000\t3\n"), 0, 1, 2);
  expect_columns(detect("1,2,978300760\n1,3,978300761\n"), 0, 1, 2);
  expect_columns(detect("0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22847\n"), 0, 4, 1);
  expect_columns(detect("1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511561733\n"), 0, 1, 4);
}

TEST(ratings_format, distinguishes_a_header_from_a_row) {
  EXPECT_TRUE(detect("a,b,c\n1,2,3\n", {.user_column = "1", .item_column = "2", .time_column = "3"}).has_header);
  EXPECT_FALSE(detect("u1,i1,978300760\n").has_header);
  EXPECT_FALSE(detect("u1,i1,2020-01-01\n").has_header);
  EXPECT_FALSE(detect("user,item,5\n", {.header = false, .order = row_order::file}).has_header);
}

TEST(ratings_format, takes_row_names_and_separators_at_the_end_of_rows) {
  expect_columns(detect("\"user_id\"\t\"item_id\"\t\"timestamp\"\n\"1\"\t5\t6\t7\n\"2\"\t5\t7\t8\n"), 1, 2, 3);
  const auto trailing = detect("user_id,item_id,timestamp\n1,2,3,\n1,3,3,\n");
  expect_columns(trailing, 0, 1, 2);
  EXPECT_EQ(trailing.column_count, 4U);
  EXPECT_EQ(detect("user_id,item_id,timestamp\n9,2,3,4\n").column_count, 3U) << "the row will be refused";
}

}  // namespace
}  // namespace negpipe::ingest
