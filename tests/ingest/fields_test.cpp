#include "fields.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace negpipe::ingest {
namespace {

std::vector<std::string> split(std::string_view line, separator by, bool* broken = nullptr, bool quotes = true) {
  std::vector<std::string> fields;
  field_cursor cursor(line, {by, quotes && by != separator::double_colon});
  while (cursor.next()) fields.emplace_back(cursor.text());
  if (broken != nullptr) *broken = cursor.broken_quotes();
  return fields;
}

using texts = std::vector<std::string>;

TEST(fields, are_cut_by_their_separator_alone) {
  EXPECT_EQ(split("a,b,,d", separator::comma), (texts{"a", "b", "", "d"}));
  EXPECT_EQ(split("a,b\tc,d", separator::tab), (texts{"a,b", "c,d"}));
  EXPECT_EQ(split("a:b::c::", separator::double_colon), (texts{"a:b", "c", ""}));
  EXPECT_EQ(split("a,b;c d|e", separator::semicolon), (texts{"a,b", "c d|e"}));
  EXPECT_EQ(split("a,b;c d|e", separator::pipe), (texts{"a,b;c d", "e"}));
  EXPECT_EQ(split("a^b", static_cast<separator>('^')), (texts{"a", "b"}));
  EXPECT_EQ(split("", separator::comma), (texts{""}));
  EXPECT_EQ(split(",", separator::comma), (texts{"", ""}));
  EXPECT_EQ(split("::::", separator::double_colon), (texts{"", "", ""}));
}

TEST(fields, are_cut_by_runs_of_spaces_and_tabs) {
  EXPECT_EQ(split("  a  b\tc \t d  ", separator::spaces), (texts{"a", "b", "c", "d"}));
  EXPECT_EQ(split("\"a b\"\tc", separator::spaces), (texts{"a b", "c"}));
  EXPECT_EQ(split("   ", separator::spaces), texts{});
}

TEST(fields, in_quotes_may_hold_separators_and_doubled_quotes) {
  EXPECT_EQ(split(R"("a,b",c)", separator::comma), (texts{"a,b", "c"}));
  EXPECT_EQ(split(R"("a ""b"" c","",d)", separator::comma), (texts{"a \"b\" c", "", "d"}));
  EXPECT_EQ(split(R"("""")", separator::comma), (texts{"\""}));
  EXPECT_EQ(split(R"(a"b,c)", separator::comma), (texts{"a\"b", "c"}));
  EXPECT_EQ(split("\"12\"\" Mix\"\t\"b\tc\"", separator::tab), (texts{"12\" Mix", "b\tc"}));
  EXPECT_EQ(split("\"a\"::b", separator::double_colon), (texts{"\"a\"", "b"})) << ".dat knows no quotes";
  EXPECT_EQ(split("\"a,b", separator::comma, nullptr, false), (texts{"\"a", "b"}));
}

TEST(fields, with_wrong_quotes_are_refused) {
  for (const std::string_view line : {R"(1,"a)", R"(1,"a"b)", R"(1,")", R"(1,"a"")", R"(1,"a" ,2)"}) {
    bool broken = false;
    EXPECT_EQ(split(line, separator::comma, &broken), (texts{"1"})) << line;
    EXPECT_TRUE(broken) << line;
  }
}

TEST(fields, know_their_column) {
  field_cursor cursor(R"("a,b"::c)", {separator::comma});
  ASSERT_FALSE(cursor.next()) << "a quoted field must end at a comma";
  field_cursor dat("12::345", {separator::double_colon, false});
  ASSERT_TRUE(dat.next());
  EXPECT_EQ(dat.column(), 1U);
  ASSERT_TRUE(dat.next());
  EXPECT_EQ(dat.column(), 5U);
}

TEST(row_length, passes_over_line_ends_in_quoted_fields) {
  const field_syntax csv{separator::comma};
  EXPECT_EQ(row_length("a,b\nc", csv), 4U);
  EXPECT_EQ(row_length("a,\"x\ny\",b\nc", csv), 10U);
  EXPECT_EQ(row_length("a,\"x\"\"\n\",b\nc", csv), 11U);
  EXPECT_EQ(row_length("a\"b\nc", csv), 4U) << "a quote within a field is a character";
  EXPECT_EQ(row_length("a,\"b\nc", csv), std::string_view::npos);
  EXPECT_EQ(row_length("a,b", csv), std::string_view::npos);
  EXPECT_EQ(row_length("a,\"x\ny\"\n", {separator::comma, false}), 5U);
}

TEST(quotes, show_what_is_not_printable_and_cut_what_is_long) {
  EXPECT_EQ(in_quotes("a b"), "\"a b\"");
  EXPECT_EQ(in_quotes(std::string_view("\0\n\x7f", 3)), R"("\x00\x0a\x7f")");
  EXPECT_EQ(in_quotes(std::string(1000, 'x')), "\"" + std::string(60, 'x') + "...\"");
}

TEST(quotes, keep_utf8_whole_and_escape_other_bytes) {
  EXPECT_EQ(in_quotes("Jos\xE9"), R"("Jos\xe9")");
  EXPECT_EQ(in_quotes("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
  std::string letters = "x";
  for (int i = 0; i < 40; ++i) letters += "\xC3\xA9";
  EXPECT_EQ(in_quotes(letters), "\"" + letters.substr(0, 59) + "...\"") << "cut before the letter at byte 60";
  for (const char* wrong : {"\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\x80", "\xE2\x82"}) {
    EXPECT_EQ(in_quotes(wrong).find(wrong), std::string::npos) << in_quotes(wrong);
  }
}

}  // namespace
}  // namespace negpipe::ingest
