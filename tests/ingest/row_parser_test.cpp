#include "row_parser.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace negpipe::ingest {
namespace {

using reason = parse_stop::reason;

const ratings_format csv = detect_format("r.csv", "user_id,item_id,rating,timestamp\n", {});

parsed_block parse(std::string_view text, id_kind users = id_kind::number, id_kind items = id_kind::number,
                   const row_rules& rules = {missing_words(table_options{}.na_values)}) {
  return parse_block(csv, rules, text, users, items);
}

TEST(row_parser, reads_rows_in_order) {
  const auto block = parse("10,7,5,100\r\n10,8,,-3\n-2,7,x,9223372036854775807");
  EXPECT_EQ(block.stop.why, reason::none);
  EXPECT_EQ(block.users, (std::vector<std::int32_t>{0, 0, 1}));
  EXPECT_EQ(block.items, (std::vector<std::int32_t>{0, 1, 0}));
  EXPECT_EQ(block.timestamps, (std::vector<std::int64_t>{100, -3, std::numeric_limits<std::int64_t>::max()}));
  EXPECT_EQ(block.user_ids.number(1), -2);
  EXPECT_EQ(block.line_count, 3U);
}

TEST(row_parser, takes_numbers_with_spaces_quotes_and_an_empty_fraction) {
  const auto block = parse(" 10 ,\"7\",5,100.0\n");
  ASSERT_EQ(block.stop.why, reason::none);
  EXPECT_EQ(block.user_ids.number(0), 10);
  EXPECT_EQ(block.item_ids.number(0), 7);
  EXPECT_EQ(block.timestamps[0], 100);
}

TEST(row_parser, counts_blank_lines) {
  const auto block = parse("\n1,1,1,1\n\n\r\n1,2,1,1\n");
  ASSERT_EQ(block.stop.why, reason::none);
  ASSERT_EQ(block.blanks.size(), 2U);
  EXPECT_EQ(block.blanks[0].row, 0U);
  EXPECT_EQ(block.blanks[0].count, 1U);
  EXPECT_EQ(block.blanks[1].row, 1U);
  EXPECT_EQ(block.blanks[1].count, 2U);
  EXPECT_EQ(block.line_count, 5U);
}

TEST(row_parser, stops_at_the_first_wrong_row) {
  struct example {
    std::string_view row;
    std::size_t column;
    std::string_view message;
  };
  for (const example& wrong : {
           example{"1,2,3,12x", 7, "the timestamp is \"12x\""},
           example{"1,2,3,", 7, "the timestamp is missing: found \"\""},
           example{"1,2,3,1.", 7, "the timestamp is \"1.\""},
           example{"1,2,3,2020-01-01", 7, "the timestamp is \"2020-01-01\"; wanted a number"},
           example{"1,2,3,9223372036854775808", 7, "the timestamp is \"9223372036854775808\""},
           example{",2,3,4", 1, "the user id is missing: found \"\""},
           example{"1,\"\",3,4", 3, "the item id is missing: found \"\""},
           example{"1,None,3,4", 3, "the item id is missing: found \"None\""},
           example{"1,2,3", 1, "found 3 fields, wanted 4"},
           example{"1,2,3,4,5", 1, "found 5 fields, wanted 4"},
           example{"1,2,\"3,4", 5, "a quoted field does not end"},
           example{"1", 1, "found 1 fields, wanted 4"},
       }) {
    const auto block = parse("5,6,7,8\n" + std::string(wrong.row) + "\n5,7,7,8\n");
    EXPECT_EQ(block.stop.why, reason::error) << wrong.row;
    EXPECT_EQ(block.stop.line, 1U) << wrong.row;
    EXPECT_EQ(block.stop.column, wrong.column) << wrong.row;
    EXPECT_EQ(block.stop.message.rfind(wrong.message, 0), 0U) << block.stop.message;
    EXPECT_EQ(block.users.size(), 1U) << wrong.row;
  }
}

// The rest of the column decides whether it is an error.
TEST(row_parser, stops_at_a_number_that_does_not_fit) {
  const auto user = parse("5,6,7,8\n18446744073709551616,2,3,4\n");
  EXPECT_EQ(user.stop.why, reason::wide_user);
  EXPECT_EQ(user.stop.line, 1U);
  EXPECT_EQ(user.stop.column, 1U);
  EXPECT_EQ(user.stop.message, "the user id \"18446744073709551616\" does not fit 64 bits; renumber the ids");
  const auto item = parse("1,-9223372036854775809,3,4\n");
  EXPECT_EQ(item.stop.why, reason::wide_item);
  EXPECT_EQ(item.stop.column, 3U);
  EXPECT_EQ(item.stop.message, "the item id \"-9223372036854775809\" does not fit 64 bits; renumber the ids");
  EXPECT_EQ(parse("9223372036854775807,-9223372036854775808,3,4\n").stop.why, reason::none);
  EXPECT_EQ(parse("9223372036854775808,1,3,4\n").stop.why, reason::text_user) << "it fits 64 bits without a sign";
  EXPECT_EQ(parse("1,18446744073709551615,3,4\n").stop.why, reason::text_item);
}

TEST(row_parser, reports_whether_a_column_of_text_has_text) {
  const auto numbers =
      parse("7,99999999999999999999,1,1\n18446744073709551615, 3 ,1,1\n", id_kind::text, id_kind::text);
  EXPECT_FALSE(numbers.text_users || numbers.text_items);
  EXPECT_TRUE(parse("007,9,1,1\n", id_kind::text, id_kind::text).text_users);
  const auto text = parse("7,9,1,1\n1,3x,1,1\n", id_kind::text, id_kind::text);
  EXPECT_FALSE(text.text_users);
  EXPECT_TRUE(text.text_items);
}

TEST(row_parser, reports_text_in_a_column_of_numbers) {
  EXPECT_EQ(parse("a,1,1,1\n").stop.why, reason::text_user);
  EXPECT_EQ(parse("1,b,1,1\n").stop.why, reason::text_item);
  for (const char* id : {"007", "-0", "-07", "+7", "7.0", "00", "0x7"}) {
    EXPECT_EQ(parse(std::string(id) + ",1,1,1\n").stop.why, reason::text_user) << id;
  }
  EXPECT_EQ(parse("0,-7,1,1\n").stop.why, reason::none);
  const auto text = parse("a,007,1,1\n99999999999999999999,7,1,1\n", id_kind::text, id_kind::text);
  EXPECT_EQ(text.stop.why, reason::none);
  EXPECT_EQ(text.items, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(text.user_ids.text(1), "99999999999999999999");
}

TEST(row_parser, keeps_fractions_of_seconds_exactly) {
  const auto block = parse("1,1,1,5\n1,2,1,5.25\n1,3,1,-0.5\n1,4,1,9.783e+08\n");
  ASSERT_EQ(block.stop.why, reason::none);
  EXPECT_EQ(block.timestamps, (std::vector<std::int64_t>{5, 5, -1, 978300000}));
  EXPECT_EQ(block.fractions, (std::vector<std::uint64_t>{0, 250000000000000000, 500000000000000000, 0}));
  EXPECT_TRUE(parse("1,1,1,5.0\n").fractions.empty());
}

TEST(row_parser, drops_rows_with_missing_values_where_asked) {
  row_rules rules{missing_words({"?"}), missing_policy::drop};
  const auto block = parse("1,1,1,5\n?,2,1,6\n1,,1,6\n1,3,1,?\n1,None,1,7\n", id_kind::text, id_kind::text, rules);
  ASSERT_EQ(block.stop.why, reason::none);
  EXPECT_EQ(block.users.size(), 2U) << "None is not among the words";
  EXPECT_EQ(block.rows_missing, 3U);
  ASSERT_EQ(block.blanks.size(), 1U);
  EXPECT_EQ(block.blanks[0].row, 1U);
  EXPECT_EQ(block.blanks[0].count, 3U);
}

TEST(row_parser, reads_line_ends_in_quoted_fields) {
  const auto block = parse("1,1,\"a\nb\",5\n\n1,2,\"\n\n\",6\n1,3,x,soon\n");
  EXPECT_EQ(block.timestamps, (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(block.stop.why, reason::error);
  EXPECT_EQ(block.stop.line, 6U);
}

TEST(row_parser, skips_lines_equal_to_the_header) {
  const auto block = parse("1,1,1,5\nuser_id,item_id,rating,timestamp\r\n1,2,1,6\n");
  EXPECT_EQ(block.stop.why, reason::none);
  EXPECT_EQ(block.timestamps, (std::vector<std::int64_t>{5, 6}));
}

}  // namespace
}  // namespace negpipe::ingest
