#include "instant.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace negpipe::ingest {
namespace {

constexpr std::uint64_t half = 500'000'000'000'000'000;

instant number(const std::string& text) {
  instant time;
  EXPECT_TRUE(parse_number(text, time)) << text;
  return time;
}

instant date(const std::string& text) {
  instant time;
  EXPECT_TRUE(parse_date(text, time)) << text;
  return time;
}

TEST(numbers, are_read_exactly) {
  EXPECT_EQ(number("978300760"), (instant{978'300'760, 0}));
  EXPECT_EQ(number(" 5 "), (instant{5, 0}));
  EXPECT_EQ(number("+5"), (instant{5, 0}));
  EXPECT_EQ(number("1.5"), (instant{1, half}));
  EXPECT_EQ(number("-1.5"), (instant{-2, half})) << "rounded down";
  EXPECT_EQ(number("-0.5"), (instant{-1, half}));
  EXPECT_EQ(number("100.000"), (instant{100, 0}));
  EXPECT_EQ(number("1593878903.438"), (instant{1'593'878'903, 438'000'000'000'000'000}));
  EXPECT_EQ(number("9.783e+08"), (instant{978'300'000, 0}));
  EXPECT_EQ(number("1.000000000000000000e+00"), (instant{1, 0}));
  EXPECT_EQ(number("15e-1"), (instant{1, half}));
  EXPECT_EQ(number("5E-18"), (instant{0, 5}));
  EXPECT_EQ(number("9223372036854775807"), (instant{std::numeric_limits<std::int64_t>::max(), 0}));
  EXPECT_EQ(number("-9223372036854775808.0"), (instant{std::numeric_limits<std::int64_t>::min(), 0}));
  EXPECT_LT(number("1593878903.4380001"), number("1593878903.4380002"));
  EXPECT_LT(number("-1.75"), number("-1.5"));
}

TEST(numbers, that_are_none_or_do_not_fit_are_refused) {
  instant time;
  for (const char* text : {"",
                           " ",
                           "x",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "1e99",
                           "1.5x",
                           "1 2",
                           "--1",
                           "0x5",
                           "nan",
                           "inf",
                           "9223372036854775808",
                           "1e19",
                           "-9223372036854775808.5",
                           "1.0000000000000000001",
                           "2020-01-01",
                           "1,5"}) {
    EXPECT_FALSE(parse_number(text, time)) << text;
  }
}

TEST(dates, are_read_with_and_without_time_of_day_and_zone) {
  EXPECT_EQ(date("1970-01-01"), (instant{0, 0}));
  EXPECT_EQ(date("2000-02-29"), (instant{951'782'400, 0}));
  EXPECT_EQ(date("2009-02-13T23:31:30Z"), (instant{1'234'567'890, 0}));
  EXPECT_EQ(date("2009-02-13 23:31:30"), (instant{1'234'567'890, 0})) << "UTC without a zone";
  EXPECT_EQ(date("2009/02/13 23:31"), (instant{1'234'567'860, 0}));
  EXPECT_EQ(date("2009-2-13 23:31:30"), (instant{1'234'567'890, 0})) << "without leading zeros";
  EXPECT_EQ(date("2009-02-14T00:31:30+01:00"), date("2009-02-13T23:31:30Z"));
  EXPECT_EQ(date("2009-02-13T18:01:30-0530"), date("2009-02-13 23:31:30 UTC"));
  EXPECT_EQ(date("2009-02-14T01:31:30+02"), date("2009-02-13T23:31:30"));
  EXPECT_EQ(date("2020-07-05 00:08:23.438").fraction, 438'000'000'000'000'000U);
  EXPECT_EQ(date("1969-12-31T23:59:59.5"), (instant{-1, half}));
  EXPECT_LT(date("2020-07-05 00:08:23.438"), date("2020-07-05 00:08:23.4381"));
}

TEST(dates, that_are_none_are_refused) {
  instant time;
  for (const char* text : {"", "2020", "2020-1-", "2020-001-1", "2020-13-01", "2021-02-29", "2020-02-30",
                           "2020-01-01T", "20200101", "2020-01-01T24:00", "2020-01-01T10:60", "2020-01-01 10:00:00.",
                           "2020-01-01T10:00:00+1", "2020-01-01T10:00:00 CET", "2020-01-01x", "01-02-2020",
                           "2020-01/01"}) {
    EXPECT_FALSE(parse_date(text, time)) << text;
  }
}

}  // namespace
}  // namespace negpipe::ingest
