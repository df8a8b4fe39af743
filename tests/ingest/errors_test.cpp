// Refused ratings: messages have location, cause and remedy, and name the first wrong line for any number of threads.
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <string>

#include "ingest/ratings_file.hpp"
#include "negpipe/error.hpp"
#include "support/refusal.hpp"

namespace negpipe {
namespace {

using test::gzipped;
using test::keep_everyone;
using test::temporary_folder;
using test::write_file;

const std::string header = "user_id,item_id,rating,timestamp\n";

// Returns the message without the path, or "accepted".
std::string refusal(std::string_view text, const prepare_options& options = keep_everyone(), unsigned threads = 1) {
  const temporary_folder folder;
  const auto path = folder / "r";
  write_file(path, text);
  run_control control;
  control.threads = threads;
  try {
    prepare(path, options, control);
  } catch (const input_error& failure) {
    const std::string message = failure.what();
    EXPECT_EQ(message.rfind(path.string(), 0), 0U) << message;
    return message.substr(path.string().size());
  }
  return "accepted";
}

TEST(refusal, names_line_and_column) {
  EXPECT_EQ(
      refusal(header + "1,10,3,5\n1,11,3,x\n"),
      ":3:8: the timestamp is \"x\"; wanted a number such as 978300760 or 978300760.25 (seconds since 1970, or another "
      "count), or in all rows a date such as 2020-01-31 or 2020-01-31T23:59:59");
  EXPECT_EQ(refusal("\xEF\xBB\xBF" + header + "\r\n\n1,,3,5\r\n"),
            ":4:3: the item id is missing: found \"\"; set `missing` to drop to leave such rows out, "
            "or list the words that mean \"missing\" in `na_values`");
  EXPECT_EQ(refusal("1::2::3::4\n1::2::3\n"), ":2:1: found 3 fields, wanted 4");
  EXPECT_EQ(refusal("1\t2\t3\t4\n99999999999999999999\t2\t3\t4\n"),
            ":2:1: the user id \"99999999999999999999\" does not fit 64 bits; renumber the ids");
}

// A number beyond 64 bits is refused in a column of numbers and accepted in a column of text, before and after the
// text. The first wrong line is named.
TEST(refusal, of_numbers_that_do_not_fit_depends_on_the_whole_column) {
  const std::string wide = "99999999999999999999";
  const std::string user_refused = "the user id \"" + wide + "\" does not fit 64 bits; renumber the ids";
  const std::string item_refused = "the item id \"" + wide + "\" does not fit 64 bits; renumber the ids";
  std::string long_way;  // several blocks
  for (int i = 0; long_way.size() < (5U << 20); ++i) long_way += "7," + std::to_string(i) + ",3,5\n";
  for (const std::string& between : {std::string("7,8,3,5\n7,9,3,5\n"), long_way}) {
    const auto outcome = [&](const std::string& first, const std::string& last) {
      return refusal(header + first + between + last, keep_everyone(), 2);
    };
    EXPECT_EQ(outcome(wide + ",1,3,5\n", "9,1,3,5\n"), ":2:1: " + user_refused);
    EXPECT_EQ(outcome("1," + wide + ",3,5\n", "x,1,3,5\n"), ":2:3: " + item_refused) << "the other column is text";
    EXPECT_EQ(outcome(wide + ",1,3,5\n", "x,1,3,5\n"), "accepted");
    EXPECT_EQ(outcome("x,1,3,5\n", wide + ",1,3,5\n"), "accepted");
    EXPECT_EQ(outcome("1," + wide + ",3,5\n", "1,x,3,5\n"), "accepted");
    EXPECT_EQ(outcome("1,x,3,5\n", "1," + wide + ",3,5\n"), "accepted");
    EXPECT_EQ(outcome("1," + wide + ",3,5\n", wide + ",1,3,5\n"), ":2:3: " + item_refused);
    EXPECT_EQ(outcome(wide + "," + wide + ",3,5\n", "7,x,3,5\n"), ":2:1: " + user_refused);
    EXPECT_EQ(outcome(wide + ",1,3,5\n", "9,1,3,soon\n"), ":2:1: " + user_refused);
    EXPECT_EQ(outcome("x,1,3,5\n" + wide + ",1,3,soon\n", "9,1,3,5\n").substr(0, 3), ":3:");
  }
  EXPECT_EQ(refusal(header + wide + ",1,3,5\nx,1,3,soon\n").substr(0, 3), ":3:");
}

TEST(refusal, of_files_without_ratings) {
  EXPECT_EQ(refusal(""), ": the file is empty; wanted ratings");
  EXPECT_EQ(refusal(gzipped("")), ": the file is empty; wanted ratings");
  EXPECT_EQ(refusal(header), ": no ratings");
  EXPECT_EQ(refusal(header + "\n\r\n"), ": no ratings");
  EXPECT_EQ(refusal("user_id,item_id\n1,2\n").rfind(":1: no time column", 0), 0U);
}

TEST(refusal, of_data_without_one_training_positive) {
  EXPECT_EQ(refusal(header + "1,10,3,5\n2,10,3,5\n").rfind(": not one training positive is left", 0), 0U);
  EXPECT_EQ(refusal(header + "1,10,3,5\n1,11,3,5\n", prepare_options{})
                .rfind(": not one training positive is left: 2 of 2", 0),
            0U);
}

TEST(refusal, of_repeats_names_both_lines) {
  const std::string text = header + "1,10,3,5\n2,10,3,5\n\n2,11,3,5\n1,11,3,5\n2,10,3,7\n1,10,3,5\n";
  EXPECT_EQ(refusal(text),
            ":7: user 2 and item 10 are already in line 3; set `duplicates` to first or last to keep "
            "one of such rows");
  auto options = keep_everyone();
  options.duplicates = duplicate_policy::first;
  EXPECT_EQ(refusal(text, options), "accepted");
  const std::string repeated = refusal(header + "a,x,3,5\nb,x,3,5\nb,x,3,6\n");
  EXPECT_EQ(repeated.rfind(":4: user \"b\" and item \"x\" are already in line 3", 0), 0U) << repeated;
}

TEST(refusal, of_repeats_counts_users_that_would_be_dropped) {
  prepare_options options;
  options.min_ratings = 3;
  EXPECT_EQ(refusal(header + "1,10,1,1\n1,10,1,1\n2,1,1,1\n2,2,1,1\n2,3,1,1\n", options).rfind(":3: user 1", 0), 0U);
}

TEST(refusal, of_a_lowest_rating_that_is_no_number) {
  auto options = keep_everyone();
  options.min_rating = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(test::prepare_text(header + "1,10,3,5\n1,11,3,6\n", options), option_error);
}

TEST(refusal, uses_the_given_name_of_a_file) {
  auto options = keep_everyone();
  options.table.names = {"original.parquet"};
  const std::string message = test::refusal([&] { test::prepare_text(header + "1,10,3,5\n1,10,3,6\n", options); });
  EXPECT_EQ(message.rfind("original.parquet:3: user 1 and item 10", 0), 0U) << message;
  EXPECT_EQ(test::prepare_text(header + "1,10,3,5\n1,11,3,6\n", options).origin().source, "original.parquet");
  options.table.names.emplace_back("another");
  EXPECT_THROW(test::prepare_text(header + "1,10,3,5\n1,11,3,6\n", options), option_error);
}

TEST(refusal, of_another_dataset_than_expected) {
  auto options = keep_everyone();
  options.expect = known_dataset::ml_1m;
  EXPECT_EQ(refusal(header + "1,10,3,5\n1,11,3,6\n", options)
                .rfind(": 1 users and 2 items are left, but ml-1m has 6040 "
                       "and 3706",
                       0),
            0U);
}

// Two wrong lines far apart and a truncated end: the first line is always named.
TEST(refusal, names_the_first_wrong_line_for_any_number_of_threads) {
  std::string text = header;
  std::size_t lines = 1;
  const auto add_good = [&](std::size_t bytes) {
    const std::size_t end = text.size() + bytes;
    for (; text.size() < end; ++lines) text += "1," + std::to_string(lines) + ",3,5\n";
  };
  add_good(3 << 20);
  const std::size_t bad = lines + 1;
  for (int i = 0; i < 4; ++i) {
    text += "1,2,3,bad\n";
    ++lines;
    add_good(2 << 20);
  }
  const std::string packed = gzipped(text);
  for (const unsigned threads : {1U, 2U, 5U}) {
    const std::string wanted = ":" + std::to_string(bad) + ":7: the timestamp is \"bad\"";
    EXPECT_EQ(refusal(text, keep_everyone(), threads).rfind(wanted, 0), 0U) << threads;
    EXPECT_EQ(refusal(packed.substr(0, packed.size() - 9), keep_everyone(), threads).rfind(wanted, 0), 0U) << threads;
  }
}

TEST(refusal, of_truncated_compression) {
  const std::string packed = gzipped(header + "1,10,3,5\n1,11,3,6\n");
  EXPECT_EQ(refusal(packed.substr(0, packed.size() - 1)),
            ": the compressed file ends early: it is truncated; fetch it again");
}

TEST(refusal, of_missing_files_is_a_system_error) {
  const temporary_folder folder;
  EXPECT_THROW(prepare(folder / "missing.csv", {}), io_error);
  EXPECT_THROW(prepare(folder.path(), {}), io_error);
}

TEST(prepare, stops_when_asked) {
  const temporary_folder folder;
  write_file(folder / "r.csv", header + "1,10,3,5\n1,11,3,6\n");
  const std::atomic<bool> stop{true};
  run_control control;
  control.stop_requested = &stop;
  EXPECT_THROW(prepare(folder / "r.csv", keep_everyone(), control), interrupted_error);
}

}  // namespace
}  // namespace negpipe
