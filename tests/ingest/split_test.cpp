// Splits of ratings into training positives, validation items and test items.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "ingest/ratings_file.hpp"
#include "negpipe/error.hpp"

namespace negpipe {
namespace {

using test::keep_everyone;
using test::prepare_text;

const std::string header = "user_id,item_id,timestamp\n";

/// Original item ids of a set, by user, such as "1: 10 12; 2: 11".
std::string rows_of(const dataset& data, const user_items& set) {
  std::string text;
  for (std::size_t user = 0; user + 1 < set.offsets.size(); ++user) {
    text += (text.empty() ? "" : "; ") + data.user_ids().to_string(user) + ":";
    std::vector<std::string> items;
    for (const std::int32_t item : set.of(user)) {
      items.push_back(data.item_ids().to_string(static_cast<std::size_t>(item)));
    }
    std::ranges::sort(items);
    for (const std::string& item : items) text += " " + item;
  }
  return text;
}

std::string training(const dataset& data) { return rows_of(data, {data.user_offsets(), data.positive_items()}); }
std::string test_set(const dataset& data) { return rows_of(data, data.heldout(heldout_set::test)); }
std::string validation(const dataset& data) { return rows_of(data, data.heldout(heldout_set::validation)); }

prepare_options with_split(const std::string& text) {
  prepare_options options = keep_everyone();
  options.split = split_options::parse(text);
  return options;
}

std::string refusal_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const error& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(split, holds_out_the_last_two_rows) {
  const dataset data =
      prepare_text(header + "1,10,3\n1,11,1\n1,12,2\n2,10,5\n2,11,4\n3,12,9\n", with_split("leave-two-out"));
  EXPECT_EQ(training(data), "1: 11; 2:; 3:");
  EXPECT_EQ(validation(data), "1: 12; 2: 11; 3:");
  EXPECT_EQ(test_set(data), "1: 10; 2: 10; 3: 12");
}

TEST(split, holds_out_the_later_of_two_equal_times) {
  const std::string rows = header + "1,10,3\n1,11,3\n1,12,3\n1,13,1\n";
  const dataset data = prepare_text(rows, with_split("leave-two-out"));
  EXPECT_EQ(validation(data), "1: 11");
  EXPECT_EQ(test_set(data), "1: 12");
}

TEST(split, shuffled_ties_hold_out_the_same_test_item_as_leave_one_out) {
  std::string rows = header;
  for (int user = 0; user < 20; ++user) {
    for (int item = 0; item < 9; ++item) rows += std::to_string(user) + "," + std::to_string(item) + ",1\n";
  }
  prepare_options options = keep_everyone();
  options.ties = tie_order::shuffled;
  options.seed = 3;
  const dataset one = prepare_text(rows, options);
  options.split.kind = split_kind::leave_two_out;
  const dataset two = prepare_text(rows, options);
  EXPECT_TRUE(std::ranges::equal(one.heldout_items(), two.heldout_items()));
  EXPECT_FALSE(std::ranges::equal(one.heldout_items(), prepare_text(rows).heldout_items()));
}

TEST(split, divides_rows_by_ratio) {
  std::string rows = header;
  for (int user = 1; user <= 30; ++user) {  // user n has n rows, the last ones first
    for (int row = user; row > 0; --row) {
      rows += std::to_string(user) + "," + std::to_string(100 + row) + "," + std::to_string(row) + "\n";
    }
  }
  const dataset data = prepare_text(rows, with_split("ratio:0.7,0.1,0.2"), 2);
  for (std::size_t u = 0; u < 30; ++u) {
    const std::size_t n = u + 1;
    std::size_t test = n * 2 / 10;
    std::size_t valid = n / 10;
    if (test == 0 && n > 1) test = 1;
    if (valid == 0 && n > 1 + test) valid = 1;
    ASSERT_EQ(data.heldout(heldout_set::test).of(u).size(), test) << n;
    ASSERT_EQ(data.heldout(heldout_set::validation).of(u).size(), valid) << n;
  }
  EXPECT_TRUE(test_set(data).ends_with("30: 125 126 127 128 129 130"));
  EXPECT_TRUE(validation(data).ends_with("30: 122 123 124"));
}

TEST(split, has_no_validation_set_without_a_share) {
  const dataset data = prepare_text(header + "1,10,1\n1,11,2\n1,12,3\n1,13,4\n", with_split("ratio:3,1"));
  EXPECT_FALSE(data.has_validation());
  EXPECT_EQ(training(data), "1: 10 11 12");
  EXPECT_EQ(test_set(data), "1: 13");
}

const std::string timed = header + "1,10,1\n1,11,5\n1,12,9\n2,10,2\n2,13,9\n3,11,9\n4,10,9\n4,11,1\n";

TEST(split, by_time_drops_and_names_users_and_items_without_training_rows) {
  prepare_summary summary;
  const dataset data = prepare_text(timed, with_split("time:5,9"), 1, &summary);
  EXPECT_EQ(training(data), "1: 10; 2: 10; 4: 11");
  EXPECT_EQ(validation(data), "1: 11; 2:; 4:");
  EXPECT_EQ(test_set(data), "1:; 2:; 4: 10");
  EXPECT_EQ(summary.unknown_rows, 3U);
  EXPECT_EQ(summary.unknown_user_ids, std::vector<std::string>{"3"});
  EXPECT_EQ(summary.unknown_item_ids, (std::vector<std::string>{"12", "13"}));
  EXPECT_EQ(data.item_count(), 2);
}

TEST(split, by_time_keeps_or_refuses_unknown_users_and_items) {
  prepare_options options = with_split("time:5");
  options.unknown = unknown_policy::keep;
  const dataset data = prepare_text(timed, options);
  EXPECT_FALSE(data.has_validation());
  EXPECT_EQ(training(data), "1: 10; 2: 10; 3:; 4: 11");
  EXPECT_EQ(test_set(data), "1: 11 12; 2: 13; 3: 11; 4: 10");
  options.unknown = unknown_policy::error;
  EXPECT_NE(refusal_of([&] { prepare_text(timed, options); }).find("ratings.csv:4: the item has no training row"),
            std::string::npos);
}

TEST(split, reads_dates_for_columns_of_dates_and_of_known_units) {
  const std::string rest = "1,11,2020-02-01T00:00:00Z\n1,12,2020-02-01T01:00:00+02:00\n2,12,2020-01-01\n";
  const std::string dates = header + "1,10,2020-01-01\n2,11,2020-01-01\n" + rest;
  EXPECT_EQ(test_set(prepare_text(dates, with_split("time:2020-02-01"))), "1: 11; 2:");
  const std::string seconds = header + "1,10,1577836800\n2,11,1577836800\n1,11,1580515200\n1,12,1580515199\n";
  EXPECT_EQ(test_set(prepare_text(seconds, with_split("time:2020-02-01"))), "1: 11; 2:");
  const std::string millis =
      header + "1,10,1577836800000\n2,11,1577836800000\n1,11,1580515200000\n1,12,1580515199999\n";
  EXPECT_EQ(test_set(prepare_text(millis, with_split("time:2020-02-01T00:00"))), "1: 11; 2:");
  EXPECT_NE(refusal_of([&] { prepare_text(dates, with_split("time:1580515200")); }).find("has dates"),
            std::string::npos);
  EXPECT_NE(refusal_of([&] { prepare_text(timed, with_split("time:2020-02-01")); }).find("unknown unit"),
            std::string::npos);
  EXPECT_NE(refusal_of([&] { prepare_text(timed, with_split("time:soon")); }).find("the time is soon"),
            std::string::npos);
}

TEST(split, refuses_sets_without_an_item) {
  EXPECT_NE(refusal_of([] { prepare_text(timed, with_split("time:100")); }).find("not one test item is left"),
            std::string::npos);
  EXPECT_NE(refusal_of([] { prepare_text(timed, with_split("time:0")); }).find("not one training positive is left"),
            std::string::npos);
  EXPECT_NE(refusal_of([] { prepare_text(timed, with_split("time:9,5")); }).find("after the test set"),
            std::string::npos);
}

TEST(split, does_not_depend_on_threads) {
  std::mt19937 random(7);
  std::string rows = header;
  for (int row = 0; row < 5000; ++row) {
    rows += std::to_string(random() % 200) + "," + std::to_string(row % 100) + "," +
            std::to_string(random() % 50) + "\n";
  }
  for (const char* split : {"leave-two-out", "ratio:8,1,1", "time:30,40"}) {
    prepare_options options = with_split(split);
    options.duplicates = duplicate_policy::first;
    const std::string digest = prepare_text(rows, options, 1).digest();
    EXPECT_EQ(prepare_text(rows, options, 3).digest(), digest) << split;
  }
}

TEST(split, parses_and_prints_options) {
  for (const char* text : {"leave-one-out", "leave-two-out", "ratio:0.8,0.1,0.1", "ratio:0.9,0.1", "time:5",
                           "time:2020-01-31,2020-02-29"}) {
    EXPECT_EQ(split_options::parse(text).to_string(), text);
  }
  for (const char* text : {"", "leave", "leave-one-out:1", "ratio:", "ratio:1", "ratio:1,2,3,4", "ratio:0,1",
                           "ratio:1,-1,1", "ratio:1,nan", "ratio:1,x", "time:", "time:1,", "time:1,2,3",
                           "random:0.1"}) {
    EXPECT_THROW(split_options::parse(text), option_error) << text;
  }
}

// ---- given splits

struct given_files {
  test::temporary_folder folder;
  std::vector<std::filesystem::path> training{folder / "train.csv"};
  std::vector<std::filesystem::path> test{folder / "test.csv"};
  std::vector<std::filesystem::path> validation;

  given_files(const std::string& training_text, const std::string& test_text) {
    test::write_file(training[0], training_text);
    test::write_file(test[0], test_text);
  }
  split_files files() const { return {training, test, validation}; }
};

TEST(given_split, holds_out_the_rows_of_the_test_file) {
  given_files given("1 10 11 12\n2 10 13\n3 11\n", "1 13\n2 11 12\n3\n");
  const dataset data = prepare(given.files(), keep_everyone());
  EXPECT_EQ(training(data), "1: 10 11 12; 2: 10 13; 3: 11");
  EXPECT_EQ(test_set(data), "1: 13; 2: 11 12; 3:");
  EXPECT_FALSE(data.has_validation());
}

TEST(given_split, takes_several_files_and_a_validation_set_in_any_format) {
  given_files given("user,item,time\n1,10,5\n1,11,6\n2,10,7\n", "1::12::5::1000\n");
  given.training.push_back(given.folder / "more.tsv");
  test::write_file(given.training[1], "user\titem\n2\t12\n3\t13\n");
  given.validation.push_back(given.folder / "validation.csv");
  test::write_file(given.validation[0], "user,item\n2,11\n3,10\n");
  const dataset data = prepare(given.files(), keep_everyone());
  EXPECT_EQ(training(data), "1: 10 11; 2: 10 12; 3: 13");
  EXPECT_EQ(validation(data), "1:; 2: 11; 3: 10");
  EXPECT_EQ(test_set(data), "1: 12; 2:; 3:");
}

TEST(given_split, reads_lists_of_two_items_as_lists_if_the_training_file_has_lists) {
  const given_files given("1 10 11 12\n2 10 13\n3 14\n", "1 13 14\n2 11 12\n");
  EXPECT_EQ(test_set(prepare(given.files(), keep_everyone())), "1: 13 14; 2: 11 12; 3:");
  const given_files unclear("1 10 11\n2 10 13\n", "1 13\n2 11 12\n");
  EXPECT_NE(refusal_of([&] { prepare(unclear.files(), keep_everyone()); }).find("set `layout` to item-lists"),
            std::string::npos);
  prepare_options options = keep_everyone();
  options.table.layout = row_layout::item_lists;
  options.unknown = unknown_policy::keep;
  EXPECT_EQ(test_set(prepare(unclear.files(), options)), "1: 13; 2: 11 12");
}

TEST(given_split, counts_and_names_what_training_does_not_know) {
  const given_files given("user,item\na,x\na,y\nb,x\n", "user,item\na,z\nb,y\nc,x\nc,z\n");
  prepare_summary summary;
  const dataset data = prepare(given.files(), keep_everyone(), {}, &summary);
  EXPECT_EQ(test_set(data), "a:; b: y");
  EXPECT_EQ(summary.unknown_rows, 3U);
  EXPECT_EQ(summary.unknown_users, 1U);
  EXPECT_EQ(summary.unknown_user_ids, std::vector<std::string>{"c"});
  EXPECT_EQ(summary.unknown_items, 1U);
  EXPECT_EQ(summary.unknown_item_ids, std::vector<std::string>{"z"});
  prepare_options options = keep_everyone();
  options.unknown = unknown_policy::keep;
  EXPECT_EQ(test_set(prepare(given.files(), options)), "a: z; b: y; c: x z");
  options.unknown = unknown_policy::error;
  EXPECT_NE(refusal_of([&] { prepare(given.files(), options); }).find("test.csv:2: the item has no training row"),
            std::string::npos);
}

TEST(given_split, keeps_the_sets_when_rows_before_them_are_dropped) {
  const given_files given("user,item\n9,10\n1,10\n1,11\n1,12\n2,10\n2,11\n2,12\n", "user,item\n1,13\n2,13\n1,10\n");
  prepare_options options;
  options.min_ratings = 3;
  options.duplicates = duplicate_policy::first;
  options.unknown = unknown_policy::keep;
  const dataset data = prepare(given.files(), options);
  EXPECT_EQ(training(data), "1: 10 11 12; 2: 10 11 12");
  EXPECT_EQ(test_set(data), "1: 13; 2: 13");
}

TEST(given_split, refuses_a_test_row_that_repeats_a_training_row) {
  const given_files given("user,item\n1,10\n1,11\n", "user,item\n1,11\n");
  const std::string message = refusal_of([&] { prepare(given.files(), keep_everyone()); });
  EXPECT_NE(message.find("test.csv:2: user 1 and item 11 are already in"), std::string::npos) << message;
  EXPECT_NE(message.find("train.csv:3"), std::string::npos) << message;
}

TEST(given_split, records_its_kind_and_files) {
  const given_files given("user,item\n1,10\n1,11\n2,10\n", "user,item\n1,10\n");
  prepare_options options = keep_everyone();
  options.duplicates = duplicate_policy::last;
  const dataset data = prepare(given.files(), options);
  EXPECT_EQ(training(data), "1: 11; 2: 10");
  EXPECT_NE(data.origin().options.find(R"("split":"given")"), std::string::npos);
  EXPECT_EQ(data.origin().source, "train.csv and 1 more");
}

TEST(given_split, of_columns_equals_that_of_files) {
  const given_files given("user,item\n1,10\n1,11\n2,12\n", "user,item\n1,12\n2,10\n");
  const std::vector<std::int64_t> users{1, 1, 2};
  const std::vector<std::int64_t> items{10, 11, 12};
  const std::vector<std::int64_t> test_users{1, 2};
  const std::vector<std::int64_t> test_items{12, 10};
  rating_table first{.users = raw_ids(users), .items = raw_ids(items)};
  rating_table second{.users = raw_ids(test_users), .items = raw_ids(test_items)};
  const dataset data = prepare(split_tables{first, second}, keep_everyone());
  EXPECT_EQ(data.digest(), prepare(given.files(), keep_everyone()).digest());
  const std::vector<std::int64_t> offsets{0, 1, 2};
  const std::string text = "12";
  second.users = raw_ids(offsets, text);
  EXPECT_NE(refusal_of([&] { prepare(split_tables{first, second}, keep_everyone()); }).find("of another type"),
            std::string::npos);
}

}  // namespace
}  // namespace negpipe
