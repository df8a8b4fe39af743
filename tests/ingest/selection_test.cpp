// Users and items with too few ratings are dropped.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ingest/ratings_file.hpp"
#include "negpipe/error.hpp"

namespace negpipe {
namespace {

using test::keep_everyone;
using test::prepare_text;

const std::string header = "user_id,item_id,timestamp\n";

// User 3 has too few ratings without items 12 and 13, and item 11 without user 3.
const std::string chain = header + "1,10,1\n1,14,2\n2,10,1\n2,14,2\n1,11,3\n3,11,1\n3,12,2\n3,13,3\n";

TEST(selection, drops_items_with_too_few_ratings_after_users) {
  prepare_options options = keep_everyone();
  options.min_ratings = 2;
  options.min_item_ratings = 2;
  prepare_summary summary;
  const dataset data = prepare_text(chain, options, 1, &summary);
  EXPECT_EQ(data.user_count(), 3);
  EXPECT_EQ(data.item_count(), 3);
  EXPECT_EQ(summary.items_dropped, 2U);
  EXPECT_EQ(summary.users_dropped, 0U);
  EXPECT_EQ(summary.rows_dropped, 2U);
}

TEST(selection, repeats_for_a_k_core_until_nothing_is_dropped) {
  prepare_options options = keep_everyone();
  options.min_ratings = 2;
  options.min_item_ratings = 2;
  options.k_core = true;
  prepare_summary summary;
  const dataset data = prepare_text(chain, options, 1, &summary);
  EXPECT_EQ(data.user_count(), 2);
  EXPECT_EQ(data.item_count(), 2);
  EXPECT_EQ(summary.items_dropped, 3U);
  EXPECT_EQ(summary.users_dropped, 1U);
  EXPECT_EQ(summary.rows_dropped, 4U);
}

TEST(selection, counts_users_who_lose_all_their_items) {
  prepare_options options = keep_everyone();
  options.min_item_ratings = 2;
  prepare_summary summary;
  prepare_text(header + "1,10,1\n1,11,2\n2,10,1\n2,11,2\n3,12,1\n", options, 1, &summary);
  EXPECT_EQ(summary.users_dropped, 1U);
  EXPECT_EQ(summary.items_dropped, 1U);
}

// A simple k-core: sets of pairs, from which users and items are removed one at a time.
TEST(selection, finds_the_core_that_removing_one_at_a_time_finds) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::set<std::pair<int, int>> pairs;
    for (int i = 0; i < 150; ++i) pairs.insert({static_cast<int>(random() % 25), static_cast<int>(random() % 25)});
    std::string text = header;
    for (const auto& [user, item] : pairs) text += std::to_string(user) + "," + std::to_string(item) + ",1\n";
    for (bool changed = true; changed;) {
      changed = false;
      std::map<int, int> users;
      std::map<int, int> items;
      for (const auto& [user, item] : pairs) {
        ++users[user];
        ++items[item];
      }
      for (const auto& pair : std::set(pairs)) {
        if (users[pair.first] >= 6 && items[pair.second] >= 5) continue;
        pairs.erase(pair);
        changed = true;
        break;
      }
    }
    std::set<int> users;
    std::set<int> items;
    for (const auto& [user, item] : pairs) {
      users.insert(user);
      items.insert(item);
    }
    prepare_options options = keep_everyone();
    options.min_ratings = 6;
    options.min_item_ratings = 5;
    options.k_core = true;
    if (pairs.empty()) {
      EXPECT_THROW(prepare_text(text, options), input_error);
      continue;
    }
    const dataset data = prepare_text(text, options);
    EXPECT_EQ(data.user_count(), static_cast<std::int32_t>(users.size()));
    EXPECT_EQ(data.item_count(), static_cast<std::int32_t>(items.size()));
    EXPECT_EQ(data.positive_count() + users.size(), pairs.size());
  }
}

}  // namespace
}  // namespace negpipe
