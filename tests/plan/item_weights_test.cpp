// Weights: the alias table shares words out exactly, popularity weights are the same everywhere, and users without
// negatives are named.
#include "negpipe/item_weights.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "negpipe/error.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

/// The number of words of each item, and of rejection.
std::vector<std::uint64_t> word_counts(std::span<const core::alias_column> columns, std::uint32_t shift,
                                       std::size_t item_count) {
  std::vector<std::uint64_t> counts(item_count + 1, 0);
  const std::uint64_t width = 1ULL << shift;
  for (std::uint32_t c = 0; c < columns.size(); ++c) {
    const std::uint64_t first = std::uint64_t{c} << shift;
    const std::uint64_t own = columns[c].cutoff <= first ? 0 : columns[c].cutoff - first;
    if (own != 0) counts[c] += own;
    counts[columns[c].alias] += width - own;
  }
  return counts;
}

std::vector<std::uint64_t> exact_counts(const std::vector<std::uint32_t>& weights, std::uint64_t sum) {
  const std::uint64_t unit = (1ULL << 32) / sum;
  std::vector<std::uint64_t> counts;
  for (const std::uint32_t weight : weights) counts.push_back(weight * unit);
  counts.push_back((1ULL << 32) - unit * sum);
  return counts;
}

std::vector<std::vector<std::uint32_t>> many_weights() {
  std::vector<std::vector<std::uint32_t>> all{{1}, {~0U}, {1, 1}, {0, 7}, {~0U - 1, 1}, {0, 0, 0, 1}, {1, 1, 1},
                                              {1U << 31, (1U << 31) - 1}, {3, 0, 1U << 30, 17, 0}};
  for (const std::uint32_t count : {7U, 8U, 9U, 255U, 256U, 1000U}) {
    std::vector<std::uint32_t> weights;
    for (std::uint32_t i = 0; i < count; ++i) weights.push_back(i * 2654435761U % 1021 * (i % 3));
    all.push_back(weights);
    all.emplace_back(count, 1);
    all.emplace_back(count, ~0U / count);  // the sum at its limit
  }
  return all;
}

TEST(item_weights, every_item_owns_words_in_exact_proportion_to_its_weight) {
  for (const auto& values : many_weights()) {
    const item_weights weights(values);
    EXPECT_EQ(word_counts(weights.columns(), weights.shift(), values.size()), exact_counts(values, weights.sum()))
        << values.size() << " weights, sum " << weights.sum();
  }
}

TEST(item_weights, counts_of_words_catch_float_cutoffs) {
  const auto values = many_weights()[10];
  const item_weights weights(values);
  std::vector<core::alias_column> rounded(weights.columns().begin(), weights.columns().end());
  for (core::alias_column& column : rounded) {
    column.cutoff = static_cast<std::uint32_t>(static_cast<float>(column.cutoff >> 1)) << 1;  // 24 bits of 31
  }
  EXPECT_NE(word_counts(rounded, weights.shift(), values.size()), exact_counts(values, weights.sum()));
}

TEST(item_weights, a_draw_gives_the_item_that_owns_the_word) {
  const std::vector<std::uint32_t> values{3, 0, 2, 1};
  const dataset data = make_dataset({{0}, {}, {}, {}, {}}, {1, 1, 1, 1, 1}, 4);
  const dataset_weights weights(data, item_weights(values));
  std::vector<std::uint64_t> counts(5, 0);
  constexpr std::uint32_t step = 1009;
  std::uint64_t words = 0;
  for (std::uint64_t word = 0; word < 1ULL << 32; word += step, ++words) {
    std::uint32_t item = 0;
    const bool is_accepted = (*weights.draw())(static_cast<std::uint32_t>(word), item);
    ASSERT_EQ(is_accepted, item < 4);
    ++counts[item];
  }
  const auto exact = exact_counts(values, 6);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(static_cast<double>(counts[i]), static_cast<double>(exact[i]) / step, 9) << "item " << i;
  }
}

TEST(item_weights, rejects_weights_without_a_sum_of_32_bits) {
  EXPECT_THROW(item_weights(std::vector<std::uint32_t>{}), option_error);
  EXPECT_THROW(item_weights({0, 0}), option_error);
  EXPECT_THROW(item_weights({~0U, 1}), option_error);
  EXPECT_EQ(item_weights({~0U - 1, 1}).sum(), ~0U);
}

TEST(item_weights, the_digest_is_of_the_values) {
  EXPECT_EQ(item_weights({1, 2}).digest(), "4f04e2bb1318b81190e10694e3e82c30") << "MD5 of 01 00 00 00 02 00 00 00";
  EXPECT_NE(item_weights({1, 2}).digest(), item_weights({2, 1}).digest());
  EXPECT_EQ(item_weights().digest(), "");
}

/// Items 0 to 5 with popularities 0, 1, 2, 3, 4, 5.
dataset staircase() {
  return make_dataset({{5}, {4, 5}, {3, 4, 5}, {2, 3, 4, 5}, {1, 2, 3, 4, 5}}, {0, 0, 0, 0, 0}, 6);
}

std::vector<std::uint32_t> values_of(const item_weights& weights) {
  return {weights.values().begin(), weights.values().end()};
}

TEST(popularity_weights, alpha_0_and_1_are_exact) {
  EXPECT_EQ(values_of(popularity_weights(staircase(), 0)), (std::vector<std::uint32_t>{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(values_of(popularity_weights(staircase(), 1)), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5}));
}

TEST(popularity_weights, are_proportional_to_the_power_and_nearly_fill_32_bits) {
  for (const double alpha : {0.25, 0.5, 0.75, 0.7, 1.5, 2.0, 3.3}) {
    const item_weights weights = popularity_weights(staircase(), alpha);
    EXPECT_GT(weights.sum(), ~0U - 30);
    EXPECT_EQ(weights.values()[0], 0U);
    double sum = 0;
    for (int c = 1; c < 6; ++c) sum += std::pow(c, alpha);
    for (int c = 1; c < 6; ++c) {
      EXPECT_NEAR(weights.values()[static_cast<std::size_t>(c)], std::pow(c, alpha) / sum * 4294967295.0, 20) << alpha;
    }
  }
}

// Frozen: another value means that some machine or compiler rounds in another way, or that draws have changed.
TEST(popularity_weights, known_answers) {
  EXPECT_EQ(values_of(popularity_weights(staircase(), 0.75)),
            (std::vector<std::uint32_t>{0, 385772205, 648788929, 879370465, 1091128570, 1289907112}));
  EXPECT_EQ(popularity_weights(staircase(), 0.7).digest(), "ed4b50ddce1cccda2cff09f5ba46cbf0");
}

TEST(popularity_weights, rejects_an_alpha_out_of_range) {
  for (const double alpha : {-0.1, 16.5, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(popularity_weights(staircase(), alpha), option_error) << alpha;
  }
  EXPECT_NO_THROW(popularity_weights(staircase(), 16));
}

TEST(popularity_weights, a_rare_item_keeps_a_weight) {
  std::vector<std::vector<std::int32_t>> rows(1001, std::vector<std::int32_t>{0});
  rows[0] = {0, 1};
  const dataset data = make_dataset(std::move(rows), std::vector<std::int32_t>(1001, 2), 3);
  const item_weights weights = popularity_weights(data, 16);
  EXPECT_EQ(weights.values()[1], 1U);
  EXPECT_EQ(weights.values()[2], 0U);
}

std::string refusal(const dataset& data, const item_weights& weights) {
  try {
    dataset_weights{data, weights};
  } catch (const infeasible_error& refused) {
    return refused.what();
  }
  return "";
}

TEST(dataset_weights, names_users_whose_other_items_weigh_0) {
  const dataset data = make_dataset({{0, 1}, {0}, {1, 2}}, {2, 1, 0}, 4);
  EXPECT_EQ(refusal(data, item_weights({1, 0, 1, 0})), "");
  const std::string text = refusal(data, item_weights({0, 1, 0, 0}));
  EXPECT_NE(text.find("2 users have no negative"), std::string::npos) << text;
  EXPECT_NE(text.find("users 0, 2."), std::string::npos) << text;
  EXPECT_THROW(dataset_weights(data, item_weights({1, 1})), option_error);
}

}  // namespace
}  // namespace negpipe::test
