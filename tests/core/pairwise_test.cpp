// A pairwise cycle holds every positive once an epoch with K negatives, and padding rows by three rules.
#include "negpipe/core/pairwise.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "statistics/support/views.hpp"

namespace negpipe::core {
namespace {

using test::make_training_plan;
using test::plan_options;
using test::positives_owner;

constexpr std::int32_t item_count = 97;

positives_owner edge_data() { return test::random_positives(test::edge_degrees(item_count), item_count, 11); }

plan_options pairwise(plan_options options) {
  options.layout = batch_layout::pairwise;
  return options;
}

/// A row with its negatives.
struct full_row {
  std::int32_t user;
  std::int32_t item;
  std::vector<std::int32_t> negatives;
  std::int8_t valid;

  bool operator==(const full_row&) const = default;
};

struct cycle {
  cycle(const positives_owner& owner, const plan_options& options, std::uint32_t number = 0)
      : data(owner.view()),
        plan(make_training_plan(owner, pairwise(options))),
        source{options.seed},
        key(cycle_key::make(plan, number, source)) {}

  full_row at(std::uint64_t position) const {
    const pair_row row = pair_at(plan, key, data, position, source);
    full_row full{index(row.user), index(row.item), {}, row.valid};
    for (std::uint32_t k = 0; k < plan.negatives; ++k) {
      full.negatives.push_back(index(pair_negative(plan, key, data, row, k, source)));
    }
    return full;
  }

  positives_view data;
  training_plan plan;
  philox_source source;
  cycle_key key;
};

TEST(layouts, have_tags_of_their_own) {
  std::set<tag> all;
  for (const batch_layout layout : {batch_layout::pointwise, batch_layout::pairwise}) {
    const layout_tags tags = tags_of(layout);
    for (const tag purpose : {tags.round_keys, tags.draw, tags.fallback, tags.padding}) {
      EXPECT_TRUE(all.insert(purpose).second) << "tag " << static_cast<std::uint32_t>(purpose) << " twice";
    }
  }
}

class pairwise_cycles : public testing::TestWithParam<std::tuple<std::uint32_t, std::uint32_t>> {};

TEST_P(pairwise_cycles, hold_each_positive_once_an_epoch_with_negatives_outside_its_user) {
  const auto [negatives, epochs] = GetParam();
  const positives_owner owner = edge_data();
  for (const std::uint32_t number : {0U, 1U, 0xFFFFFFFFU}) {
    const cycle c(owner, {.negatives = negatives, .epochs = epochs}, number);
    ASSERT_EQ(c.plan.point_count, owner.positive_count() * epochs);
    std::map<std::pair<std::int32_t, std::int32_t>, std::uint32_t> positives;
    for (std::uint64_t i = 0; i < c.plan.point_count; ++i) {
      const full_row row = c.at(i);
      const item_row known = c.data.csr.row(user_id{row.user});
      ASSERT_EQ(row.valid, 1);
      ASSERT_TRUE(known.contains(row.item)) << "row " << i;
      ++positives[{row.user, row.item}];
      ASSERT_EQ(row.negatives.size(), negatives);
      for (const std::int32_t item : row.negatives) {
        ASSERT_TRUE(item >= 0 && item < item_count && !known.contains(item)) << "row " << i << ", item " << item;
      }
    }
    ASSERT_EQ(positives.size(), owner.positive_count());
    for (const auto& [who, count] : positives) ASSERT_EQ(count, epochs) << who.first << ' ' << who.second;
  }
}

INSTANTIATE_TEST_SUITE_P(shapes, pairwise_cycles,
                         testing::Combine(testing::Values(0U, 1U, 4U, 7U), testing::Values(1U, 2U, 3U)));

TEST(pairwise, the_kth_negative_of_a_row_is_the_draw_with_index_row_times_k_plus_k) {
  const positives_owner owner = edge_data();
  const cycle c(owner, {.negatives = 7, .epochs = 2}, 5);
  const draw_stream stream{tag::pair_draw, tag::pair_fallback, 5};
  for (std::uint64_t i = 0; i < c.plan.point_count; ++i) {
    const full_row row = c.at(i);
    const std::uint64_t positive = c.key.order(i) % owner.positive_count();
    ASSERT_EQ(row.user, owner.users()[positive]);
    ASSERT_EQ(row.item, c.data.csr.positive_items[positive]);
    for (std::uint32_t k = 0; k < 7; ++k) {
      ASSERT_EQ(row.negatives[k], draw_negative(c.data, user_id{row.user}, c.plan.item_draw, stream, i * 7 + k,
                                                c.source));
    }
  }
}

// The number of negatives must not change the order: a loss may be tried with more of them on the same rows.
TEST(pairwise, the_order_of_the_positives_does_not_depend_on_the_number_of_negatives) {
  const positives_owner owner = edge_data();
  const cycle none(owner, {.negatives = 0});
  const cycle some(owner, {.negatives = 3});
  for (std::uint64_t i = 0; i < none.plan.point_count; ++i) {
    ASSERT_EQ(none.at(i).user, some.at(i).user);
    ASSERT_EQ(none.at(i).item, some.at(i).item);
  }
}

// With K = 0 both layouts shuffle the same P positives, so equal round keys would show as equal orders.
TEST(pairwise, the_order_is_not_that_of_the_pointwise_layout) {
  const positives_owner owner = test::random_positives(std::vector<std::int32_t>(50, 20), 1000, 1);
  const cycle rows(owner, {.negatives = 0});
  const training_plan points = make_training_plan(owner, {.negatives = 0});
  const cycle_key key = cycle_key::make(points, 0, rows.source);
  std::uint64_t same = 0;
  for (std::uint64_t i = 0; i < points.point_count; ++i) same += key.order(i) == rows.key.order(i);
  EXPECT_LT(same, 20U) << "about one position in a thousand agrees by chance";
}

TEST(pairwise, cycles_and_seeds_do_not_repeat_each_other) {
  const positives_owner owner = test::random_positives(std::vector<std::int32_t>(50, 20), 1000, 1);
  const cycle one(owner, {});
  const cycle next(owner, {}, 1);
  const cycle other(owner, {.seed = 43});
  std::uint64_t repeats = 0;
  for (std::uint64_t i = 0; i < one.plan.point_count; ++i) {
    for (std::size_t k = 0; k < 4; ++k) {
      repeats += one.at(i).negatives[k] == next.at(i).negatives[k];
      repeats += one.at(i).negatives[k] == other.at(i).negatives[k];
    }
  }
  EXPECT_LT(repeats, 40U) << "8 of 8,000 pairs agree by chance";
}

TEST(pairwise_padding, resample_repeats_whole_rows_of_the_same_cycle) {
  const positives_owner owner = edge_data();
  const cycle c(owner, {.negatives = 3, .batch_size = 1000}, 2);
  ASSERT_GT(c.plan.padded_count(), c.plan.point_count);
  const training_plan points = make_training_plan(owner, {.negatives = 0, .batch_size = 1000});
  int same_as_pointwise = 0;
  for (std::uint64_t i = c.plan.point_count; i < c.plan.padded_count(); ++i) {
    const std::uint64_t from = resampled_position(c.plan, 2, i, c.source);
    ASSERT_LT(from, c.plan.point_count) << "padding copied from padding";
    ASSERT_EQ(c.at(i), c.at(from));
    same_as_pointwise += from == resampled_position(points, 2, i, c.source);
  }
  EXPECT_LT(same_as_pointwise, 40) << "both layouts draw their padding from one stream";
}

TEST(pairwise_padding, mask_rows_cycle_through_users_and_items) {
  const positives_owner owner = edge_data();
  const cycle c(owner, {.negatives = 3, .batch_size = 1000, .pad = padding::mask});
  ASSERT_GT(c.plan.padded_count(), c.plan.point_count);
  for (std::uint64_t i = 0; i < c.plan.point_count; ++i) ASSERT_EQ(c.at(i).valid, 1);
  for (std::uint64_t i = c.plan.point_count; i < c.plan.padded_count(); ++i) {
    full_row wanted{static_cast<std::int32_t>(i % 16), static_cast<std::int32_t>(i % item_count), {}, 0};
    for (std::uint64_t k = 0; k < 3; ++k) {
      wanted.negatives.push_back(static_cast<std::int32_t>((i * 3 + k) % item_count));
    }
    ASSERT_EQ(c.at(i), wanted) << "row " << i;
  }
}

TEST(pairwise_padding, policies_do_not_change_the_rows_before_the_padding) {
  const positives_owner owner = edge_data();
  const cycle resampled(owner, {.batch_size = 1000});
  const cycle masked(owner, {.batch_size = 7, .pad = padding::mask});
  const cycle dropped(owner, {.batch_size = 100, .pad = padding::drop});
  EXPECT_LE(dropped.plan.padded_count(), dropped.plan.point_count);
  for (std::uint64_t i = 0; i < resampled.plan.point_count; ++i) {
    ASSERT_EQ(resampled.at(i), masked.at(i));
    ASSERT_EQ(resampled.at(i), dropped.at(i));
  }
}

}  // namespace
}  // namespace negpipe::core
