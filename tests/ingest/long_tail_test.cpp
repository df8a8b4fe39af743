#include "long_tail.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace negpipe::ingest {
namespace {

using numbers = std::vector<std::uint64_t>;

TEST(muldiv, survives_products_of_128_bits) {
  EXPECT_EQ(muldiv(~0ULL, ~0ULL, ~0ULL), ~0ULL);
  EXPECT_EQ(muldiv(1ULL << 63, 6, 12), 1ULL << 62);
  EXPECT_EQ(muldiv(7, 2, 3), 4U);
}

TEST(zipf_weights, fall_by_the_law_and_never_to_nothing) {
  const numbers weights = zipf_weights(5, 2, 2);
  EXPECT_EQ(weights, (numbers{1ULL << 32, (4ULL << 32) / 9, 1ULL << 30, (4ULL << 32) / 25, (4ULL << 32) / 36}));
  EXPECT_EQ(zipf_weights(1 << 20, 1, 2).back(), 1U);
}

TEST(apportion, is_exact_capped_and_in_proportion) {
  EXPECT_EQ(apportion(10, {1, 1, 2}, 100), (numbers{3, 2, 5}));
  EXPECT_EQ(apportion(0, {5, 1}, 3), (numbers{0, 0}));
  EXPECT_EQ(apportion(6, {1000, 1, 1}, 2), (numbers{2, 2, 2})) << "everything is full";
  EXPECT_EQ(apportion(5, {1000, 1, 1}, 3), (numbers{3, 1, 1})) << "what does not fit moves on";
  for (const std::uint64_t total : {1ULL, 999ULL, 123'456ULL}) {
    const numbers parts = apportion(total, zipf_weights(1000, 8, 1), 1000);
    EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), std::uint64_t{0}), total);
    for (std::size_t i = 1; i < parts.size(); ++i) ASSERT_LE(parts[i], parts[i - 1] + 1);
    for (const std::uint64_t part : parts) ASSERT_LE(part, 1000U);
  }
}

TEST(weighted_draw, finds_the_rank_of_every_number) {
  const weighted_draw draw({2, 1, 3});
  ASSERT_EQ(draw.total(), 6U);
  std::vector<std::uint32_t> ranks;
  for (std::uint64_t i = 0; i < 6; ++i) ranks.push_back(draw.rank_of(i));
  EXPECT_EQ(ranks, (std::vector<std::uint32_t>{0, 0, 1, 2, 2, 2}));
}

}  // namespace
}  // namespace negpipe::ingest
