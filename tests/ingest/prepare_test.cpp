// prepare on valid ratings.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ingest/ratings_file.hpp"
#include "negpipe/error.hpp"

namespace negpipe {
namespace {

using test::gzipped;
using test::keep_everyone;
using test::prepare_text;

const std::string header = "user_id,item_id,rating,timestamp\n";

std::vector<std::string> texts(const raw_ids& ids) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < ids.size(); ++i) result.push_back(ids.to_string(i));
  return result;
}

std::vector<std::int32_t> row(const dataset& data, std::size_t user) {
  const auto items = data.positive_items();
  return {items.begin() + data.user_offsets()[user], items.begin() + data.user_offsets()[user + 1]};
}

using items = std::vector<std::int32_t>;
using names = std::vector<std::string>;

TEST(prepare, numbers_by_first_appearance_and_holds_out_the_latest) {
  const dataset data = prepare_text(header +
                                    "30,500,1,10\n"
                                    "20,400,1,99\n"
                                    "30,400,1,50\n"
                                    "20,500,1,98\n"
                                    "30,300,1,20\n");
  EXPECT_EQ(texts(data.user_ids()), (names{"30", "20"}));
  EXPECT_EQ(texts(data.item_ids()), (names{"500", "400", "300"}));
  EXPECT_EQ(row(data, 0), (items{0, 2}));
  EXPECT_EQ(row(data, 1), (items{0}));
  EXPECT_EQ(data.heldout_items()[0], 1);
  EXPECT_EQ(data.heldout_items()[1], 1);
  EXPECT_EQ(data.origin().row_count, 5U);
  EXPECT_EQ(data.origin().source, "ratings.csv");
  EXPECT_EQ(data.origin().ties, "file");
}

TEST(prepare, reads_every_format_to_the_same_dataset) {
  const std::string rows = "1,10,3,5\n1,11,3,6\n2,11,3,5\n2,12,3,4\n";
  const dataset expected = prepare_text(header + rows);
  const auto replaced = [&](const std::string& by) {
    std::string text;
    for (const char c : rows) text += c == ',' ? by : std::string(1, c);
    return text;
  };
  std::string carriage_returns;
  for (const char c : header + rows) carriage_returns += c == '\n' ? "\r\n" : std::string(1, c);
  const std::vector<std::pair<std::string, std::string>> variants = {
      {"no last newline", header + rows.substr(0, rows.size() - 1)},
      {"CRLF", carriage_returns},
      {"CRLF, no last newline", carriage_returns.substr(0, carriage_returns.size() - 2)},
      {"byte order mark", "\xEF\xBB\xBF" + header + rows},
      {"MovieLens header", "userId,movieId,rating,timestamp\n" + rows},
      {".dat", replaced("::")},
      {".dat with byte order mark", "\xEF\xBB\xBF" + replaced("::")},
      {"u.data", replaced("\t")},
      {"gzip", gzipped(header + rows)},
      {".dat, gzip", gzipped(replaced("::"))},
      {"no rating", "user_id,item_id,timestamp\n1,10,5\n1,11,6\n2,11,5\n2,12,4\n"},
      {"column order", "timestamp,item_id,user_id\n5,10,1\n6,11,1\n5,11,2\n4,12,2\n"},
      {"quotes",
       "\"user_id\",item_id,\"a,\"\"title\"\"\",timestamp\n1,\"10\",\"x,\"\"y\"\"\",5\n1,11,,6\n\"2\",11,,5\n"
       "2,12,,\"4\"\n"},
      {"blank lines", header + "\n1,10,3,5\n\n1,11,3,6\n2,11,3,5\n2,12,3,4\n\n\n"},
  };
  for (const auto& [name, text] : variants) {
    const dataset data = prepare_text(text);
    EXPECT_EQ(data.digest(), expected.digest()) << name;
    EXPECT_EQ(texts(data.user_ids()), texts(expected.user_ids())) << name;
    EXPECT_EQ(texts(data.item_ids()), texts(expected.item_ids())) << name;
  }
}

TEST(prepare, keeps_text_ids_as_written) {
  const dataset data = prepare_text(header + "7,a b,1,1\n7,\"c,\"\"d\",1,2\nx,a b,1,1\n007,c,1,1\nx,\xC3\xA9,1,2\n");
  EXPECT_TRUE(data.user_ids().is_text());
  EXPECT_EQ(texts(data.user_ids()), (names{"7", "x", "007"}));
  EXPECT_EQ(texts(data.item_ids()), (names{"a b", "c,\"d", "c", "\xC3\xA9"}));
  const dataset mixed = prepare_text(header + "7,a,1,1\n007,b,1,2\n7,b,1,2\n");
  EXPECT_EQ(texts(mixed.user_ids()), (names{"7", "007"})) << "ids that are spelled differently stay different";
}

TEST(prepare, drops_repeats_before_counting_and_numbering) {
  const std::string rows = header +
                           "1,10,1,5\n"
                           "2,11,1,1\n"
                           "2,10,1,2\n"
                           "2,11,1,9\n"
                           "1,12,1,4\n";
  auto options = keep_everyone();
  prepare_summary summary;
  options.duplicates = duplicate_policy::first;
  const dataset first = prepare_text(rows, options, 1, &summary);
  EXPECT_EQ(summary.duplicates_dropped, 1U);
  EXPECT_EQ(texts(first.item_ids()), (names{"10", "11", "12"}));
  EXPECT_EQ(first.heldout_items()[1], 0) << "item 10 at 2 is later than the kept row of item 11 at 1";
  options.duplicates = duplicate_policy::last;
  const dataset last = prepare_text(rows, options);
  EXPECT_EQ(texts(last.item_ids()), (names{"10", "11", "12"}));
  EXPECT_EQ(last.heldout_items()[1], 1) << "item 11 at 9";
  options.min_ratings = 3;
  EXPECT_THROW(prepare_text(rows, options), input_error) << "three rows of user 2 are two pairs";
}

// If a later row of a pair is kept, its user or item appears later than in the file.
TEST(prepare, numbers_only_kept_ids) {
  auto options = keep_everyone();
  options.duplicates = duplicate_policy::last;
  const dataset data = prepare_text(header + "1,10,1,1\n2,11,1,1\n2,12,1,2\n1,10,1,3\n1,11,1,2\n", options);
  EXPECT_EQ(texts(data.user_ids()), (names{"2", "1"}));
  EXPECT_EQ(texts(data.item_ids()), (names{"11", "12", "10"}));
}

TEST(prepare, drops_users_with_too_few_ratings) {
  auto options = keep_everyone();
  options.min_ratings = 2;
  prepare_summary summary;
  const dataset data = prepare_text(header + "1,10,1,1\n2,11,1,1\n2,12,1,2\n3,13,1,1\n", options, 1, &summary);
  EXPECT_EQ(summary.rows_read, 4U);
  EXPECT_EQ(summary.users_dropped, 2U);
  EXPECT_EQ(summary.rows_dropped, 2U);
  EXPECT_EQ(texts(data.user_ids()), (names{"2"}));
  EXPECT_EQ(texts(data.item_ids()), (names{"11", "12"})) << "items of dropped users are not numbered";
}

TEST(prepare, holds_out_the_last_row_of_the_last_second_in_file_order) {
  const dataset data = prepare_text(header + "1,10,1,7\n1,11,1,7\n1,12,1,3\n1,13,1,7\n1,14,1,6\n");
  EXPECT_EQ(data.heldout_items()[0], 3);
}

TEST(prepare, accepts_a_user_who_has_every_item) {
  const dataset data = prepare_text(header + "1,10,1,1\n1,11,1,2\n2,10,1,1\n");
  EXPECT_EQ(data.item_count(), 2);
  EXPECT_EQ(row(data, 1), items{});
}

// Every tied row must be held out equally often over seeds: chi-squared with 4 degrees of freedom, whose 1 - 1e-6
// quantile is 33.4. Order in the file gives 4 * 2000.
TEST(shuffled_ties, hold_out_each_tied_row_equally_often) {
  const std::string rows = header + "1,9,1,1\n1,10,1,5\n1,11,1,5\n1,12,1,5\n1,13,1,5\n1,14,1,5\n1,15,1,4\n";
  auto options = keep_everyone();
  const auto chi_squared = [&](tie_order ties) {
    options.ties = ties;
    constexpr int seeds = 2000;
    std::map<std::int32_t, int> held;
    for (options.seed = 0; options.seed < seeds; ++options.seed) {
      const dataset data = prepare_text(rows, options);
      ++held[data.heldout_items()[0]];
      EXPECT_EQ(data.origin().seed, ties == tie_order::shuffled ? options.seed : 0);
    }
    double sum = 0;
    for (std::int32_t item = 1; item <= 5; ++item) {
      constexpr double expected = seeds / 5.0;
      sum += (held[item] - expected) * (held[item] - expected) / expected;
    }
    EXPECT_EQ(held.count(0) + held.count(6), 0U) << "rows of an earlier second";
    return sum;
  };
  EXPECT_LT(chi_squared(tie_order::shuffled), 33.4);
  EXPECT_GT(chi_squared(tie_order::file), 33.4) << "the test must see an order that does not depend on the seed";
}

TEST(shuffled_ties, depend_on_kept_rows_alone) {
  auto options = keep_everyone();
  options.ties = tie_order::shuffled;
  options.min_ratings = 2;
  const std::string rows = "1,10,1,5\n1,11,1,5\n1,12,1,5\n";
  for (options.seed = 0; options.seed < 20; ++options.seed) {
    EXPECT_EQ(prepare_text(header + rows, options).digest(),
              prepare_text(header + "8,99,1,1\n" + rows + "9,10,1,1\n", options).digest());
  }
}

// Random ratings over several blocks, so that threads share the file.
std::string large_file(bool text_ids) {
  std::mt19937 generator(3);
  std::uniform_int_distribution<int> user(0, 999);
  std::uniform_int_distribution<int> item(0, 4999);
  std::uniform_int_distribution<int> time(0, 50);
  std::string text = header;
  std::set<std::pair<int, int>> seen;
  while (text.size() < (std::size_t{5} << 20)) {
    const int u = user(generator);
    const int i = item(generator);
    if (!seen.emplace(u, i).second && seen.size() % 7 != 0) continue;
    const std::string prefix = text_ids ? "some rather long prefix of an id " : "1234567";
    text += prefix + std::to_string(u) + "," + std::to_string(i) + ",3.5," + std::to_string(time(generator)) + "\n";
  }
  return text;
}

TEST(prepare, does_not_depend_on_threads) {
  for (const bool text_ids : {false, true}) {
    const std::string text = large_file(text_ids);
    for (const tie_order ties : {tie_order::file, tie_order::shuffled}) {
      prepare_options options;
      options.duplicates = duplicate_policy::last;
      options.ties = ties;
      options.seed = 11;
      const dataset one = prepare_text(text, options, 1);
      ASSERT_GT(one.positive_count(), 100'000U);
      for (const unsigned threads : {2U, 5U}) {
        const dataset other = prepare_text(text, options, threads);
        EXPECT_EQ(other.digest(), one.digest()) << threads;
        EXPECT_EQ(texts(other.user_ids()), texts(one.user_ids())) << threads;
        EXPECT_EQ(texts(other.item_ids()), texts(one.item_ids())) << threads;
        EXPECT_EQ(other.origin().source_digest, one.origin().source_digest) << threads;
      }
    }
  }
}

}  // namespace
}  // namespace negpipe
