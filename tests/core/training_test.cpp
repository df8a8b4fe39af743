// A cycle holds every positive once per epoch, K negatives for each, and padding by three rules.
#include "negpipe/core/training.hpp"

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

positives_owner edge_data(std::int32_t items = 97) {
  return test::random_positives(test::edge_degrees(items), items, 11);
}

struct cycle {
  cycle(const positives_owner& owner, const plan_options& options, std::uint32_t number = 0)
      : data(owner.view()),
        plan(make_training_plan(owner, options)),
        source{options.seed},
        key(cycle_key::make(plan, number, source)) {}

  point at(std::uint64_t position) const { return point_at(plan, key, data, position, source); }

  positives_view data;
  training_plan plan;
  philox_source source;
  cycle_key key;
};

using pair = std::pair<std::int32_t, std::int32_t>;

bool same(const point& a, const point& b) {
  return a.user == b.user && a.item == b.item && a.label == b.label && a.valid == b.valid;
}

class training_cycles : public testing::TestWithParam<std::tuple<std::uint32_t, std::uint32_t>> {};

TEST_P(training_cycles, hold_each_positive_once_an_epoch_with_its_negatives) {
  const auto [negatives, epochs] = GetParam();
  const positives_owner owner = edge_data();
  for (const std::uint32_t number : {0U, 1U, 0xFFFFFFFFU}) {
    const cycle c(owner, {.negatives = negatives, .epochs = epochs}, number);
    std::map<pair, std::uint32_t> positives;
    std::vector<std::uint64_t> negatives_of(static_cast<std::size_t>(c.data.user_count), 0);
    for (std::uint64_t i = 0; i < c.plan.point_count; ++i) {
      const point p = c.at(i);
      const bool is_positive = c.data.csr.row(p.user).contains(index(p.item));
      ASSERT_EQ(p.label, is_positive ? 1 : 0) << "position " << i;
      ASSERT_EQ(p.valid, 1);
      ASSERT_GE(index(p.item), 0);
      ASSERT_LT(index(p.item), c.data.item_count);
      if (is_positive) {
        ++positives[{index(p.user), index(p.item)}];
      } else {
        ++negatives_of[static_cast<std::size_t>(index(p.user))];
      }
    }
    ASSERT_EQ(positives.size(), owner.positive_count());
    for (const auto& [who, count] : positives) ASSERT_EQ(count, epochs) << who.first << ' ' << who.second;
    for (std::int32_t u = 0; u < c.data.user_count; ++u) {
      ASSERT_EQ(negatives_of[static_cast<std::size_t>(u)],
                static_cast<std::uint64_t>(c.data.csr.row(user_id{u}).count) * negatives * epochs);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(shapes, training_cycles,
                         testing::Combine(testing::Values(0U, 1U, 4U, 7U), testing::Values(1U, 2U, 3U)));

// Each epoch, not only the whole cycle.
TEST(training, each_epoch_of_a_cycle_is_complete) {
  const positives_owner owner = edge_data();
  const cycle c(owner, {.negatives = 4, .epochs = 3});
  const std::uint64_t epoch = owner.positive_count() * 5;
  for (std::uint64_t q = 0; q < c.plan.point_count; ++q) {
    const origin from = origin_of(c.plan, q);
    ASSERT_EQ(from.positive, q % epoch % owner.positive_count());
    ASSERT_EQ(from.is_positive, q % epoch < owner.positive_count()) << q;
  }
}

TEST(training, one_positive_makes_a_whole_cycle) {
  const positives_owner owner = test::random_positives({0, 1, 0}, 2, 1);
  const cycle c(owner, {.negatives = 4, .batch_size = 5});
  int positives = 0;
  for (std::uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(index(c.at(i).user), 1);
    positives += c.at(i).label;
    if (c.at(i).label == 0) {
      EXPECT_EQ(index(c.at(i).item), c.data.heldout[1]);
    }
  }
  EXPECT_EQ(positives, 1);
}

TEST(training, the_held_out_item_may_be_a_negative) {
  const positives_owner owner = edge_data();
  const cycle c(owner, {});
  std::set<std::int32_t> users;
  for (std::uint64_t i = 0; i < c.plan.point_count; ++i) {
    const point p = c.at(i);
    if (p.label == 0 && index(p.item) == c.data.heldout[index(p.user)]) users.insert(index(p.user));
  }
  EXPECT_GE(users.size(), 2U);
}

TEST(training, cycles_and_seeds_do_not_repeat_each_other) {
  const positives_owner owner = test::random_positives(std::vector<std::int32_t>(100, 20), 1000, 1);
  const cycle one(owner, {});
  const cycle next(owner, {}, 1);
  const cycle other(owner, {.seed = 43});
  std::uint64_t same_next = 0;
  std::uint64_t same_other = 0;
  for (std::uint64_t i = 0; i < one.plan.point_count; ++i) {
    same_next += same(one.at(i), next.at(i));
    same_other += same(one.at(i), other.at(i));
  }
  EXPECT_LT(same_next * 20, one.plan.point_count);
  EXPECT_LT(same_other * 20, one.plan.point_count);
}

TEST(padding, resample_repeats_points_of_the_same_cycle) {
  const positives_owner owner = edge_data();
  const cycle c(owner, {.batch_size = 1000}, 2);
  ASSERT_GT(c.plan.padded_count(), c.plan.point_count);
  for (std::uint64_t i = c.plan.point_count; i < c.plan.padded_count(); ++i) {
    const std::uint64_t from = resampled_position(c.plan, 2, i, c.source);
    ASSERT_LT(from, c.plan.point_count) << "padding copied from padding";
    ASSERT_TRUE(same(c.at(i), c.at(from)));
  }
}

TEST(padding, resample_changes_with_cycle_and_seed) {
  const positives_owner owner = edge_data();
  const auto plan = make_training_plan(owner, {.batch_size = 1000});
  int repeats = 0;
  for (std::uint64_t i = plan.point_count; i < plan.padded_count(); ++i) {
    const std::uint64_t drawn = resampled_position(plan, 0, i, philox_source{42});
    repeats += drawn == resampled_position(plan, 1, i, philox_source{42});
    repeats += drawn == resampled_position(plan, 0, i, philox_source{43});
    repeats += drawn == resampled_position(plan, 0, i + 1, philox_source{42});
  }
  EXPECT_LT(repeats, 60);
}

TEST(padding, resample_swaps_the_first_and_the_last_batch) {
  const auto first_positions = [](std::uint64_t points, padding pad) {
    const positives_owner owner = test::random_positives({static_cast<std::int32_t>(points)}, 1000, 1);
    const auto plan = make_training_plan(owner, {.negatives = 0, .batch_size = 10, .pad = pad});
    std::vector<std::uint64_t> firsts;
    for (std::uint64_t b = 0; b < plan.batch_count; ++b) firsts.push_back(plan.first_position(b));
    return firsts;
  };
  using list = std::vector<std::uint64_t>;
  EXPECT_EQ(first_positions(7, padding::resample), (list{0}));
  EXPECT_EQ(first_positions(10, padding::resample), (list{0}));
  EXPECT_EQ(first_positions(11, padding::resample), (list{10, 0}));
  EXPECT_EQ(first_positions(20, padding::resample), (list{10, 0})) << "always, even with nothing to pad";
  EXPECT_EQ(first_positions(30, padding::resample), (list{20, 10, 0}));
  EXPECT_EQ(first_positions(47, padding::resample), (list{40, 10, 20, 30, 0}));
  EXPECT_EQ(first_positions(30, padding::mask), (list{0, 10, 20}));
  EXPECT_EQ(first_positions(25, padding::mask), (list{0, 10, 20}));
  EXPECT_EQ(first_positions(25, padding::drop), (list{0, 10}));
}

TEST(padding, mask_rows_cycle_through_users_and_items) {
  const positives_owner owner = edge_data();
  const cycle c(owner, {.batch_size = 1000, .pad = padding::mask});
  ASSERT_GT(c.plan.padded_count(), c.plan.point_count);
  for (std::uint64_t i = 0; i < c.plan.point_count; ++i) ASSERT_EQ(c.at(i).valid, 1);
  for (std::uint64_t i = c.plan.point_count; i < c.plan.padded_count(); ++i) {
    const point wanted = {user_id{static_cast<std::int32_t>(i % 16)}, item_id{static_cast<std::int32_t>(i % 97)}, 0, 0};
    ASSERT_TRUE(same(c.at(i), wanted)) << "position " << i;
  }
}

TEST(padding, policies_do_not_change_the_points_before_the_padding) {
  const positives_owner owner = edge_data();
  const cycle resampled(owner, {.batch_size = 1000});
  const cycle masked(owner, {.batch_size = 7, .pad = padding::mask});
  const cycle dropped(owner, {.batch_size = 100, .pad = padding::drop});
  EXPECT_LE(dropped.plan.padded_count(), dropped.plan.point_count);
  for (std::uint64_t i = 0; i < resampled.plan.point_count; ++i) {
    ASSERT_TRUE(same(resampled.at(i), masked.at(i)));
    ASSERT_TRUE(same(resampled.at(i), dropped.at(i)));
  }
}

}  // namespace
}  // namespace negpipe::core
