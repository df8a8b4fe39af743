// Free draws: three stages, taken items, and ranks by weight, against plain loops.
#include "negpipe/core/free_draw.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "negpipe/core/weights.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::core {
namespace {

constexpr philox_source source{42};
constexpr taken_items nothing{};

/// Weights with their sums, without an alias table.
struct weight_sums {
  std::vector<std::uint32_t> sums{0};
  std::vector<std::uint32_t> row_sums;

  weight_sums(const std::vector<std::uint32_t>& weights, item_row row) {
    for (const std::uint32_t weight : weights) sums.push_back(sums.back() + weight);
    for (std::uint32_t k = 0; k < row.count; ++k) {
      const auto item = static_cast<std::size_t>(row.items[k]);
      row_sums.push_back((k == 0 ? 0 : row_sums.back()) + weights[item]);
    }
  }
  weighted_outside outside(item_row row) const {
    return {row, row_sums.data(), sums.data(), static_cast<std::uint32_t>(sums.size() - 1)};
  }
};

std::vector<std::uint32_t> uneven_weights(std::int32_t item_count) {
  std::vector<std::uint32_t> weights;
  for (std::int32_t i = 0; i < item_count; ++i) weights.push_back(static_cast<std::uint32_t>(i * i % 7));
  return weights;
}

/// Counts how many masses each item covers.
template <typename Outside>
std::map<std::int32_t, std::uint32_t> covered(const Outside& outside) {
  std::map<std::int32_t, std::uint32_t> counts;
  for (std::uint32_t mass = 0; mass < outside.mass(); ++mass) {
    const std::int32_t item = outside.item_at(mass);
    EXPECT_LE(outside.mass_below(item), mass);
    ++counts[item];
  }
  return counts;
}

TEST(weighted_outside, an_item_covers_as_many_masses_as_it_weighs) {
  constexpr std::int32_t items = 41;
  const auto data = test::random_positives(test::edge_degrees(items), items, 7);
  std::vector<std::vector<std::uint32_t>> all{uneven_weights(items), std::vector<std::uint32_t>(items, 1)};
  all.push_back(std::vector<std::uint32_t>(items, 0));
  all.back()[5] = 3;  // one item has all the weight
  for (const auto& weights : all) {
    for (std::int32_t u = 0; u < data.view().user_count; ++u) {
      const item_row row = data.view().csr.row(user_id{u});
      const weight_sums sums(weights, row);
      std::map<std::int32_t, std::uint32_t> wanted;
      for (std::int32_t item = 0; item < items; ++item) {
        const std::uint32_t weight = weights[static_cast<std::size_t>(item)];
        if (weight != 0 && !row.contains(item)) wanted[item] = weight;
      }
      EXPECT_EQ(covered(sums.outside(row)), wanted) << "user " << u;
    }
  }
}

TEST(uniform_outside, an_item_covers_one_mass) {
  const auto data = test::random_positives({20}, 41, 7);
  const item_row row = data.view().csr.row(user_id{0});
  const auto counts = covered(uniform_outside{row, 41});
  EXPECT_EQ(counts.size(), 21U);
  for (const auto& [item, count] : counts) EXPECT_TRUE(count == 1 && !row.contains(item)) << item;
}

TEST(free_draw, without_taken_items_equals_a_training_draw_of_its_own_stream) {
  constexpr std::int32_t items = 97;
  const auto data = test::random_positives(test::edge_degrees(items), items, 3);
  const auto item_draw = bounded32::make(items);
  for (std::int32_t u = 0; u < data.view().user_count; ++u) {
    for (std::uint64_t e = 0; e < 300; ++e) {
      const free_stream stream = free_stream::for_users(9);
      EXPECT_EQ(draw_free(data.view(), user_id{u}, item_draw, stream, e, nothing, source),
                draw_negative(data.view(), user_id{u}, item_draw, {tag::free_draw, tag::free_fallback, 9}, e, source));
    }
  }
}

TEST(free_draw, an_element_changes_only_if_its_item_is_taken) {
  const auto data = test::random_positives({30, 90, 95}, 97, 3);
  const auto item_draw = bounded32::make(97);
  const std::vector<std::int32_t> excluded{-1, 5, 96, 5, 0, data.view().csr.row(user_id{1}).items[0]};
  const taken_items taken{excluded.data(), 6, nullptr, 0};
  std::uint32_t changed = 0;
  for (std::int32_t u = 0; u < 2; ++u) {
    for (std::uint64_t e = 0; e < 2000; ++e) {
      const free_stream stream = free_stream::for_users(0);
      const std::int32_t plain = draw_free(data.view(), user_id{u}, item_draw, stream, e, nothing, source);
      const std::int32_t item = draw_free(data.view(), user_id{u}, item_draw, stream, e, taken, source);
      ASSERT_FALSE(taken.contains(item) || data.view().contains(user_id{u}, item));
      if (!taken.contains(plain)) {
        EXPECT_EQ(item, plain);
      } else {
        ++changed;
      }
    }
  }
  EXPECT_GT(changed, 50U);
}

TEST(free_draw, draws_every_remaining_item_and_then_none) {
  for (const std::int32_t degree : {0, 37, 40}) {
    const auto data = test::random_positives({degree}, 41, 3);
    std::vector<std::int32_t> drawn;
    const free_stream stream = free_stream::for_users(1);
    for (std::uint32_t k = 0; k < 41U - static_cast<std::uint32_t>(degree); ++k) {
      const taken_items taken{nullptr, 0, drawn.data(), k};
      drawn.push_back(draw_free(data.view(), user_id{0}, bounded32::make(41), stream, k, taken, source));
      ASSERT_GE(drawn.back(), 0);
      ASSERT_FALSE(data.view().contains(user_id{0}, drawn.back()));
    }
    EXPECT_EQ(std::set<std::int32_t>(drawn.begin(), drawn.end()).size(), drawn.size());
    const taken_items all{nullptr, 0, drawn.data(), static_cast<std::uint32_t>(drawn.size())};
    EXPECT_EQ(draw_free(data.view(), user_id{0}, bounded32::make(41), stream, 50, all, source), no_item);
  }
}

/// The word of every counter: a rank of one's choice.
struct chosen_rank {
  std::uint32_t rank;
  std::uint32_t left;

  random_block operator()(counter) const {
    const auto word = static_cast<std::uint32_t>(((std::uint64_t{rank} << 32) + left - 1) / left + 1);  // accepted
    return {{word, word, word, word}};
  }
};

TEST(free_draw, the_last_stage_reaches_what_neither_positives_nor_taken_items_cover) {
  constexpr std::int32_t items = 41;
  const auto data = test::random_positives({11}, items, 3);
  const item_row row = data.view().csr.row(user_id{0});
  const std::vector<std::int32_t> excluded{40, -1, 3, 0, 40, row.items[2], 17, 18};
  const std::vector<std::int32_t> drawn{data.view().heldout[0], no_item};
  const taken_items taken{excluded.data(), 8, drawn.data(), 2};
  const auto check = [&](const auto& outside, const std::vector<std::uint32_t>& weights) {
    std::map<std::int32_t, std::uint32_t> wanted;
    std::uint32_t left = 0;
    for (std::int32_t item = 0; item < items; ++item) {
      const std::uint32_t weight = weights[static_cast<std::size_t>(item)];
      if (weight == 0 || row.contains(item) || taken.contains(item)) continue;
      wanted[item] = weight;
      left += weight;
    }
    std::map<std::int32_t, std::uint32_t> counts;
    for (std::uint32_t rank = 0; rank < left; ++rank) {
      ++counts[draw_remaining(outside, taken, free_stream::for_users(0), 0, chosen_rank{rank, left})];
    }
    EXPECT_EQ(counts, wanted);
  };
  check(uniform_outside{row, items}, std::vector<std::uint32_t>(items, 1));
  const auto weights = uneven_weights(items);
  const weight_sums sums(weights, row);
  check(sums.outside(row), weights);
}

/// Taken items, and how often their mass was asked for.
struct counting_taken {
  taken_items items;
  std::uint32_t* calls;

  bool contains(std::int32_t item) const { return items.contains(item); }
  template <typename Outside>
  std::uint32_t mass(const Outside& outside, std::uint32_t limit) const {
    ++*calls;
    return items.mass(outside, limit);
  }
};

// In the first table each step of the search finds exactly one more taken item: no weights take more steps.
TEST(free_draw, the_last_stage_takes_at_most_a_step_per_taken_item) {
  constexpr std::int32_t count = 300;
  std::vector<std::vector<std::uint32_t>> tables{std::vector<std::uint32_t>(count, 1), uneven_weights(count)};
  tables.push_back({});
  for (std::int32_t i = 0; i < count; ++i) tables.back().push_back(i < 30 ? 1U << i : 1U);  // to 2^30
  tables.push_back(std::vector<std::uint32_t>(count, 0));
  tables.back()[0] = tables.back()[count - 1] = 0x7FFF'FFFF;  // a sum just below 2^32
  std::uint32_t most = 0;
  for (const auto& weights : tables) {
    const weight_sums sums(weights, {nullptr, 0});
    const weighted_outside outside = sums.outside({nullptr, 0});
    for (const std::int32_t step : {1, 3}) {
      std::vector<std::int32_t> drawn;  // all but the last item, or every third one
      std::uint32_t weighty = 0;
      for (std::int32_t i = 0; i < count - 1; i += step) {
        drawn.push_back(i);
        weighty += weights[static_cast<std::size_t>(i)] != 0 ? 1U : 0U;
      }
      std::uint32_t calls = 0;
      const counting_taken taken{{nullptr, 0, drawn.data(), static_cast<std::uint32_t>(drawn.size())}, &calls};
      for (std::uint64_t element = 0; element < 20; ++element) {
        calls = 0;
        const std::int32_t item = draw_remaining(outside, taken, free_stream::for_users(0), element, source);
        EXPECT_FALSE(taken.contains(item));
        EXPECT_NE(outside.mass_of(item), 0U);
        EXPECT_LE(calls, weighty + 2);
        most = std::max(most, calls);
      }
    }
  }
  EXPECT_EQ(most, count - 1 + 2U) << "the bound is reached";
}

TEST(free_draw, shared_draws_have_blocks_of_their_own) {
  const no_positives nobody{{}, 1000};
  const auto data = test::random_positives({0}, 1000, 3);
  std::uint32_t equal = 0;
  for (std::uint64_t e = 0; e < 1000; ++e) {
    const auto draw = bounded32::make(1000);
    equal += draw_free(nobody, user_id{0}, draw, free_stream::shared(4), e, nothing, source) ==
             draw_free(data.view(), user_id{0}, draw, free_stream::for_users(4), e, nothing, source);
  }
  EXPECT_LT(equal, 15U);
}

}  // namespace
}  // namespace negpipe::core
