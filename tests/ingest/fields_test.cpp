#include "fields.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace negpipe::ingest {
namespace {

std::vector<std::string> split(std::string_view line, separator by, bool* broken = nullptr) {
  std::vector<std::string> fields;
  field_cursor cursor(line, by);
  while (cursor.next()) fields.emplace_back(cursor.text());
  if (broken != nullptr) *broken = cursor.broken_quotes();
  return fields;
}

using texts = std::vector<std::string>;

TEST(Fields, AreSetApartByTheirSeparatorAlone) {
  EXPECT_EQ(split("a,b,,d", separator::comma), (texts{"a", "b", "", "d"}));
  EXPECT_EQ(split("a,b\tc,d", separator::tab), (texts{"a,b", "c,d"}));
  EXPECT_EQ(split("a:b::c::", separator::double_colon), (texts{"a:b", "c", ""}));
  EXPECT_EQ(split("", separator::comma), (texts{""}));
  EXPECT_EQ(split(",", separator::comma), (texts{"", ""}));
  EXPECT_EQ(split("::::", separator::double_colon), (texts{"", "", ""}));
}

TEST(Fields, InQuotesMayHoldSeparatorsAndDoubledQuotes) {
  EXPECT_EQ(split(R"("a,b",c)", separator::comma), (texts{"a,b", "c"}));
  EXPECT_EQ(split(R"("a ""b"" c","",d)", separator::comma), (texts{"a \"b\" c", "", "d"}));
  EXPECT_EQ(split(R"("""")", separator::comma), (texts{"\""}));
  EXPECT_EQ(split(R"(a"b,c)", separator::comma), (texts{"a\"b", "c"}));
  EXPECT_EQ(split("\"a\tb", separator::tab), (texts{"\"a", "b"})) << "only CSV knows quotes";
}

TEST(Fields, WithWrongQuotesAreRefused) {
  for (const std::string_view line : {R"(1,"a)", R"(1,"a"b)", R"(1,")", R"(1,"a"")", R"(1,"a" ,2)"}) {
    bool broken = false;
    EXPECT_EQ(split(line, separator::comma, &broken), (texts{"1"})) << line;
    EXPECT_TRUE(broken) << line;
  }
}

TEST(Fields, KnowTheirColumn) {
  field_cursor cursor(R"("a,b"::c)", separator::comma);
  ASSERT_FALSE(cursor.next()) << "a quoted field must end at a comma";
  field_cursor dat("12::345", separator::double_colon);
  ASSERT_TRUE(dat.next());
  EXPECT_EQ(dat.column(), 1U);
  ASSERT_TRUE(dat.next());
  EXPECT_EQ(dat.column(), 5U);
}

TEST(Quotes, ShowWhatIsNotPrintableAndCutWhatIsLong) {
  EXPECT_EQ(in_quotes("a b"), "\"a b\"");
  EXPECT_EQ(in_quotes(std::string_view("\0\n\x7f", 3)), R"("\x00\x0a\x7f")");
  EXPECT_EQ(in_quotes(std::string(1000, 'x')), "\"" + std::string(60, 'x') + "...\"");
}

}  // namespace
}  // namespace negpipe::ingest
