// Columns in memory give the same dataset as a file with the same rows.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ingest/ratings_file.hpp"
#include "negpipe/error.hpp"
#include "support/refusal.hpp"

namespace negpipe {
namespace {

using test::keep_everyone;

/// An owning column of text ids.
struct text_column {
  std::vector<std::int64_t> offsets{0};
  std::vector<char> bytes;

  explicit text_column(const std::vector<std::string>& ids) {
    for (const std::string& id : ids) {
      bytes.insert(bytes.end(), id.begin(), id.end());
      offsets.push_back(static_cast<std::int64_t>(bytes.size()));
    }
  }
  raw_ids view() const { return {offsets, bytes}; }
};

std::string refusal(const rating_table& table, const prepare_options& options = keep_everyone()) {
  return test::refusal([&] { prepare(table, options); });
}

const std::vector<std::int64_t> users = {1, 1, 2, 2, 2};
const std::vector<std::int64_t> items = {10, 11, 10, 12, 11};
const std::vector<std::int64_t> times = {5, 6, 7, 9, 8};
const std::vector<double> ratings = {5, 3.5, 4, 1, 3.5};

rating_table usual() { return {.users = raw_ids(users), .items = raw_ids(items), .times = times, .ratings = ratings}; }

TEST(columns, give_the_same_dataset_as_a_file) {
  const std::string file = "user_id,item_id,timestamp,rating\n1,10,5,5\n1,11,6,3.5\n2,10,7,4\n2,12,9,1\n2,11,8,3.5\n";
  prepare_options options = keep_everyone();
  for (const auto& [rating, order] : {std::pair{std::optional<double>(), row_order::time},
                                      {std::optional(3.5), row_order::time},
                                      {std::optional<double>(), row_order::file}}) {
    options.min_rating = rating;
    options.table.order = order;
    const dataset expected = test::prepare_text(file, options);
    const dataset found = prepare(usual(), options);
    EXPECT_EQ(found.digest(), expected.digest());
    EXPECT_EQ(found.user_ids().to_string(1), expected.user_ids().to_string(1));
    EXPECT_EQ(found.item_ids().to_string(0), expected.item_ids().to_string(0));
  }
}

TEST(columns, may_be_large_and_read_by_any_number_of_threads) {
  std::vector<std::int64_t> many_users;
  std::vector<std::int64_t> many_items;
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < 200'000; ++i) {
    many_users.push_back(i * 7919 % 5003);
    many_items.push_back(i);
    names.push_back("item " + std::to_string(i));
  }
  const text_column named(names);
  run_control control;
  const auto digest = [&](const rating_table& table, unsigned threads) {
    control.threads = threads;
    return prepare(table, keep_everyone(), control).digest();
  };
  const rating_table numbers{.users = raw_ids(many_users), .items = raw_ids(many_items), .times = many_items};
  rating_table texts = numbers;
  texts.items = named.view();
  const std::string expected = digest(numbers, 1);
  EXPECT_EQ(digest(numbers, 3), expected);
  EXPECT_EQ(digest(texts, 3), expected);
}

TEST(columns, of_text_stay_text) {
  const text_column ids({"7", "7", "007", "007"});
  const std::vector<std::int64_t> four = {1, 2, 1, 2};
  const dataset data = prepare({.users = ids.view(), .items = raw_ids(four), .times = four}, keep_everyone());
  EXPECT_TRUE(data.user_ids().is_text());
  EXPECT_EQ(data.user_ids().to_string(1), "007");
}

TEST(columns, with_missing_values_are_refused_or_lose_the_rows) {
  const std::vector<std::uint8_t> valid = {1, 1, 1, 0, 1};
  rating_table table = usual();
  table.valid = valid;
  EXPECT_EQ(refusal(table).rfind("the columns, row 3: the value is missing", 0), 0U) << refusal(table);
  prepare_options options = keep_everyone();
  options.table.missing = missing_policy::drop;
  prepare_summary summary;
  EXPECT_EQ(prepare(table, options, {}, &summary).heldout_items()[1], 1);
  EXPECT_EQ(summary.rows_missing, 1U);

  const text_column names({"a", "None", "b", "b", "c"});
  rating_table words = usual();
  words.users = names.view();
  EXPECT_EQ(refusal(words).rfind("the columns, row 1: the user id is missing: found \"None\"", 0), 0U);
}

TEST(columns, of_different_lengths_are_refused) {
  rating_table table = usual();
  table.times = std::span(times).first(4);
  EXPECT_EQ(refusal(table), "the columns: 4 values of times for 5 users; wanted one per row");
  table.times = {};
  EXPECT_EQ(refusal(table).rfind("the columns: no times", 0), 0U);
  table = usual();
  table.ratings = {};
  prepare_options options = keep_everyone();
  options.min_rating = 1;
  EXPECT_EQ(refusal(table, options).rfind("the columns: 0 values of ratings", 0), 0U);
  const std::vector<std::int64_t> offsets = {0, 1, 2, 3, 4, 9};
  table.users = raw_ids(offsets, std::string_view("abcde"));
  EXPECT_EQ(refusal(table).rfind("the columns: the offsets of users do not ascend", 0), 0U);
  EXPECT_EQ(refusal({}), "the columns: no ratings");
}

TEST(columns, report_repeats_by_row) {
  const std::vector<std::int64_t> same = {10, 11, 10, 10, 11};
  rating_table table = usual();
  table.items = raw_ids(same);
  table.name = "frame";
  EXPECT_EQ(refusal(table).rfind("frame, row 3: user 2 and item 10 are already in row 2", 0), 0U) << refusal(table);
}

}  // namespace
}  // namespace negpipe
