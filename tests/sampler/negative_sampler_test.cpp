// Free draws through the public class: the same bytes from any split and number of threads, and typed errors.
#include "negpipe/negative_sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "negpipe/core/free_draw.hpp"
#include "negpipe/core/philox.hpp"
#include "negpipe/error.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

using items_vector = std::vector<std::int32_t>;

item_weights rising_weights(std::int32_t item_count) {
  std::vector<std::uint32_t> weights;
  for (std::int32_t i = 0; i < item_count; ++i) weights.push_back(static_cast<std::uint32_t>(i + 1));
  return item_weights(std::move(weights));
}

items_vector users_in_turn(const dataset& data, std::size_t count) {
  items_vector users;
  for (std::size_t i = 0; i < count; ++i) {
    users.push_back(i % 10 == 3 ? -1 : static_cast<std::int32_t>(i * 7) % data.user_count());
  }
  return users;
}

items_vector drawn(const negative_sampler& source, std::span<const std::int32_t> users, const draw_call& call) {
  items_vector out(users.size() * call.negatives);
  source.sample(users, call, out);
  return out;
}

/// Samplers with one thread and with three, uniform and weighted.
std::vector<negative_sampler> samplers(const dataset& data) {
  std::vector<negative_sampler> all;
  for (const item_weights& weights : {item_weights(), rising_weights(data.item_count())}) {
    for (const unsigned threads : {1U, 3U}) {
      all.emplace_back(data, negative_options{.seed = 3, .weights = weights, .threads = threads});
    }
  }
  return all;
}

TEST(negative_sampler, splits_and_threads_give_the_same_bytes) {
  const dataset data = random_dataset({20, 50, 3, 0, 200}, 300, 1);
  const items_vector users = users_in_turn(data, 20'000);
  const items_vector excluded(users.size() * 2, 5);
  const auto all = samplers(data);
  for (std::size_t kind = 0; kind < all.size(); kind += 2) {
    for (const bool distinct : {false, true}) {
      for (const std::uint32_t excludes : {0U, 2U}) {
        const draw_call whole{.negatives = 4, .at = 8, .distinct = distinct,
                              .excluded = std::span(excluded).first(excludes * users.size())};
        const items_vector wanted = drawn(all[kind], users, whole);
        EXPECT_EQ(drawn(all[kind + 1], users, whole), wanted);
        items_vector joined;
        for (std::size_t begin = 0, size = 1; begin < users.size(); begin += size, size = size * 3 + 1) {
          const std::size_t count = std::min(size, users.size() - begin);
          draw_call part = whole;
          part.offset = begin;
          part.excluded = std::span(excluded).first(excludes * count);
          const items_vector made = drawn(all[kind], std::span(users).subspan(begin, count), part);
          joined.insert(joined.end(), made.begin(), made.end());
        }
        EXPECT_EQ(joined, wanted);
      }
    }
  }
}

TEST(negative_sampler, threads_that_share_a_sampler_get_the_same_bytes) {
  const dataset data = random_dataset({20, 50, 3}, 300, 1);
  const negative_sampler source(data, {.seed = 1, .threads = 2});
  const items_vector users = users_in_turn(data, 30'000);
  const items_vector wanted = drawn(source, users, {.negatives = 2});
  std::vector<items_vector> found(3);
  std::vector<std::thread> threads;
  for (items_vector& out : found) threads.emplace_back([&] { out = drawn(source, users, {.negatives = 2}); });
  for (std::thread& thread : threads) thread.join();
  for (const items_vector& out : found) EXPECT_EQ(out, wanted);
}

TEST(negative_sampler, int64_users_draw_what_int32_users_draw) {
  const dataset data = random_dataset({20, 50, 3}, 300, 1);
  const negative_sampler source(data, {.seed = 1});
  const items_vector users = users_in_turn(data, 100);
  const std::vector<std::int64_t> wide(users.begin(), users.end());
  items_vector out(300);
  source.sample(wide, {.negatives = 3}, out);
  EXPECT_EQ(out, drawn(source, users, {.negatives = 3}));
}

// Each with a user who has few items left, so that repeats are common.
TEST(negative_sampler, distinct_rows_repeat_nothing_and_equal_core) {
  const dataset data = random_dataset({20, 60, 0}, 80, 1);
  const positives_index index(data);
  const items_vector users{0, 1, -1, 2, 1};
  for (const item_weights& weights : {item_weights(), rising_weights(80)}) {
    const dataset_weights checked(data, weights);
    const negative_sampler source(index, {.seed = 4, .weights = weights});
    const draw_call call{.negatives = 20, .at = 2, .offset = 5, .distinct = true};
    const items_vector out = drawn(source, users, call);
    for (std::size_t row = 0; row < users.size(); ++row) {
      for (std::uint32_t k = 0; k < 20; ++k) {
        const std::uint64_t element = (5 + row) * 20 + k;
        const core::taken_items taken{nullptr, 0, out.data() + row * 20, k};
        const auto draw = [&](const auto& item_draw) {
          return core::draw_free(index.view(), user_id{users[row]}, item_draw, core::free_stream::for_users(2), element,
                                 taken, core::philox_source{4});
        };
        const std::int32_t wanted = users[row] < 0             ? -1
                                    : checked.draw() != nullptr ? draw(*checked.draw())
                                                                : draw(core::bounded32::make(80));
        ASSERT_EQ(out[row * 20 + k], wanted) << "row " << row << ", negative " << k;
      }
    }
    const std::set<std::int32_t> second(out.begin() + 20, out.begin() + 40);
    EXPECT_EQ(second.size(), 20U) << "user 1 has exactly 20 items left";
  }
}

TEST(negative_sampler, excluded_items_are_per_row) {
  const dataset data = random_dataset({20, 50, 3}, 60, 1);
  const negative_sampler source(data, {.seed = 4});
  const items_vector users(900, 1);
  items_vector excluded;
  for (std::int32_t row = 0; row < 900; ++row) excluded.insert(excluded.end(), {row % 60, -1, 59 - row % 60, row % 60});
  const items_vector plain = drawn(source, users, {.negatives = 3});
  const items_vector out = drawn(source, users, {.negatives = 3, .excluded = excluded});
  std::size_t changed = 0;
  for (std::size_t e = 0; e < out.size(); ++e) {
    const std::int32_t row = static_cast<std::int32_t>(e / 3);
    const auto is_excluded = [&](std::int32_t item) { return item == row % 60 || item == 59 - row % 60; };
    ASSERT_FALSE(is_excluded(out[e]));
    ASSERT_EQ(out[e] == plain[e], !is_excluded(plain[e])) << "only excluded items change";
    changed += out[e] != plain[e];
  }
  EXPECT_GT(changed, 50U);
}

TEST(negative_sampler, users_with_too_few_items_left_are_named) {
  const dataset data = random_dataset({20, 57, 3}, 60, 1);
  const negative_sampler source(data, {.seed = 4});
  const items_vector users{0, 1, 2};
  try {
    drawn(source, users, {.negatives = 4, .distinct = true});
    FAIL() << "user 1 has 3 items left";
  } catch (const infeasible_error& refused) {
    EXPECT_NE(std::string(refused.what()).find("user 1, given at index 1, has only 3 distinct"), std::string::npos)
        << refused.what();
  }
  EXPECT_NO_THROW(drawn(source, users, {.negatives = 3, .distinct = true}));
}

TEST(negative_sampler, shared_items_are_one_row_for_all_and_may_be_distinct) {
  const dataset data = random_dataset({20, 50, 3}, 60, 1);
  const negative_sampler source(data, {.seed = 4, .weights = rising_weights(60)});
  items_vector whole(40);
  source.sample_shared({.negatives = 40, .at = 6}, whole);
  items_vector part(30);
  source.sample_shared({.negatives = 30, .at = 6, .offset = 10}, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 10));
  items_vector all(60);
  source.sample_shared({.negatives = 60, .distinct = true}, all);
  EXPECT_EQ(std::set<std::int32_t>(all.begin(), all.end()).size(), 60U);
  const items_vector excluded{1, 2, 3};
  EXPECT_THROW(source.sample_shared({.negatives = 60, .distinct = true, .excluded = excluded}, all), infeasible_error);
  std::vector<std::int32_t> more(61);
  EXPECT_THROW(source.sample_shared({.negatives = 61, .distinct = true}, more), infeasible_error);
}

TEST(negative_sampler, contains_is_exact_for_pairs_and_for_each) {
  const dataset data = random_dataset({20, 50, 3}, 60, 1);
  const negative_sampler source(data, {.seed = 4, .threads = 2});
  const items_vector users{2, -1, 0, 1};
  items_vector items(60);
  for (std::int32_t i = 0; i < 60; ++i) items[static_cast<std::size_t>(i)] = i;
  std::vector<std::uint8_t> each(users.size() * items.size());
  source.contains_each(users, items, each);
  for (std::size_t row = 0; row < users.size(); ++row) {
    const items_vector same(60, users[row]);
    std::vector<std::uint8_t> pairs(60);
    source.contains(same, items, pairs);
    EXPECT_TRUE(std::equal(pairs.begin(), pairs.end(), each.begin() + static_cast<std::ptrdiff_t>(row * 60)));
    const std::vector<std::ptrdiff_t> degrees{3, 0, 20, 50};
    EXPECT_EQ(std::count(pairs.begin(), pairs.end(), 1), degrees[row]);
  }
}

TEST(negative_sampler, probabilities_outside_the_positives_sum_to_1) {
  const dataset data = random_dataset({20, 50, 0}, 60, 1);
  for (const item_weights& weights : {item_weights(), rising_weights(60)}) {
    const negative_sampler source(data, {.seed = 4, .weights = weights});
    for (const std::int32_t user : {-1, 0, 1, 2}) {
      double sum = 0;
      for (std::int32_t item = 0; item < 60; ++item) {
        float value = 0;
        std::uint8_t is_positive = 0;
        source.log_q({&user, 1}, {&item, 1}, {&value, 1});
        source.contains({&user, 1}, {&item, 1}, {&is_positive, 1});
        if (is_positive == 0) sum += std::exp(static_cast<double>(value));
      }
      EXPECT_NEAR(sum, 1, 1e-5) << "user " << user;
    }
  }
}

TEST(negative_sampler, log_q_of_weight_0_is_minus_infinity_and_of_padding_0) {
  const dataset data = random_dataset({1}, 4, 1);
  const negative_sampler source(data, {.weights = item_weights({0, 1, 1, 1})});
  const items_vector users{-1, -1};
  const items_vector items{0, -1};
  std::vector<float> values(2);
  source.log_q(users, items, values);
  EXPECT_EQ(values[0], -HUGE_VALF);
  EXPECT_EQ(values[1], 0);
}

// Frozen: another value means that draws have changed.
TEST(negative_sampler, known_answers) {
  const dataset data = make_dataset({{0, 1, 2, 3, 4}, {9}, {}}, {5, 5, 5}, 10);
  const items_vector users{0, 1, 2, -1, 0};
  const negative_sampler uniform(data, {.seed = 42});
  const negative_sampler weighted(data, {.seed = 42, .weights = item_weights({100, 90, 80, 70, 60, 5, 4, 3, 0, 1})});
  EXPECT_EQ(drawn(uniform, users, {.negatives = 3, .at = 1}),
            (items_vector{5, 5, 6, 0, 4, 6, 6, 6, 7, -1, -1, -1, 9, 6, 6}));
  EXPECT_EQ(drawn(weighted, users, {.negatives = 3, .at = 1}),
            (items_vector{5, 9, 6, 0, 0, 2, 2, 2, 2, -1, -1, -1, 5, 7, 7}));
  EXPECT_EQ(drawn(weighted, users, {.negatives = 3, .at = 1, .distinct = true}),
            (items_vector{5, 9, 6, 0, 1, 2, 2, 0, 4, -1, -1, -1, 5, 7, 6}));
}

TEST(negative_sampler, nothing_asked_for_is_nothing_written) {
  const dataset data = random_dataset({20, 50, 3}, 60, 1);
  const negative_sampler source(data);
  EXPECT_NO_THROW(source.sample(items_vector{}, {.negatives = 4}, {}));
  EXPECT_NO_THROW(source.sample(items_vector{1, 2}, {.negatives = 0}, {}));
  EXPECT_NO_THROW(source.sample_shared({.negatives = 0}, {}));
  EXPECT_NO_THROW(source.contains({}, {}, {}));
}

TEST(negative_sampler, numbers_out_of_range_and_wrong_lengths_are_rejected) {
  const dataset data = random_dataset({20, 50, 3}, 60, 1);
  const negative_sampler source(data);
  items_vector out(2);
  EXPECT_THROW(source.sample(items_vector{0, 3}, {}, out), out_of_range_error);
  EXPECT_THROW(source.sample(std::vector<std::int64_t>{0, 1LL << 32}, {}, out), out_of_range_error);
  EXPECT_THROW(source.sample(items_vector{0}, {}, out), option_error);
  EXPECT_THROW(source.sample(items_vector{0, 1}, {.offset = ~0ULL}, out), option_error);
  const items_vector excluded{60, 1};
  EXPECT_THROW(source.sample(items_vector{0, 1}, {.excluded = excluded}, out), out_of_range_error);
  EXPECT_THROW(source.sample(items_vector{0, 1}, {.excluded = std::span(excluded).first(1)}, out), option_error);
  std::vector<std::uint8_t> found(1);
  EXPECT_THROW(source.contains(items_vector{0}, items_vector{60}, found), out_of_range_error);
  EXPECT_THROW(source.contains(items_vector{0}, items_vector{1, 2}, found), option_error);
}

}  // namespace
}  // namespace negpipe::test
