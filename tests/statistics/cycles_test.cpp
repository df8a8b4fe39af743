// Whole cycles: shuffle and draws together, padding, and the acceptance tests of the 2018 pipeline.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "statistics/support/distributions.hpp"
#include "statistics/support/goodness.hpp"
#include "statistics/support/mutants.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::test {
namespace {

using core::point;

/// The cycles of a dataset and a plan, with negatives from a given sampler.
struct run {
  run(const positives_owner& owner, const plan_options& options, mutants::negative_sampler sampler)
      : data(owner.view()), plan(make_training_plan(owner, options)), sample(sampler), source{options.seed} {}

  core::cycle_key key(std::uint32_t cycle) const { return core::cycle_key::make(plan, cycle, source); }

  /// Returns point_at with the sampler's negative. Equals point_at for real_negative (tested below).
  point at(const core::cycle_key& key, std::uint64_t position) const {
    const point p = core::point_at(plan, key, data, position, source);
    if (p.label == 1 || position >= plan.point_count) return p;
    return {p.user, item_id{sample(data, p.user, plan.seed, key.cycle, position)}, 0, 1};
  }

  core::positives_view data;
  core::training_plan plan;
  mutants::negative_sampler sample;
  core::philox_source source;
};

positives_owner catalogue(std::int32_t users, std::int32_t degree, std::int32_t items) {
  return random_positives(std::vector<std::int32_t>(static_cast<std::size_t>(users), degree), items, 12);
}

TEST(cycles, points_of_the_helper_equal_point_at) {
  const auto owner = catalogue(50, 20, 200);
  const run real(owner, {}, mutants::real_negative);
  const auto key = real.key(3);
  for (std::uint64_t i = 0; i < real.plan.padded_count(); ++i) {
    ASSERT_EQ(real.at(key, i).item, core::point_at(real.plan, key, real.data, i, real.source).item);
  }
}

/// Tests how often each (user, item) pair is a negative in five cycles: a binomial variable. with_cycle maps a cycle to
/// the cycle whose points are used.
p_values pair_counts(mutants::negative_sampler sample, std::uint32_t (*with_cycle)(std::uint32_t)) {
  const auto owner = catalogue(300, 20, 420);
  const run r(owner, {.negatives = 4}, sample);
  std::vector<std::uint32_t> times(300 * 420, 0);
  constexpr std::uint32_t cycles = 5;
  for (std::uint32_t cycle = 0; cycle < cycles; ++cycle) {
    const auto key = r.key(with_cycle(cycle));
    for (std::uint64_t i = 0; i < r.plan.point_count; ++i) {
      const point p = r.at(key, i);
      if (p.label == 0) ++times[static_cast<std::size_t>(index(p.user) * 420 + index(p.item))];
    }
  }
  constexpr std::uint64_t max_times = 7;
  std::vector<std::uint64_t> observed(max_times + 1, 0);
  for (std::int32_t u = 0; u < 300; ++u) {
    for (std::int32_t item = 0; item < 420; ++item) {
      if (r.data.contains(user_id{u}, item)) continue;
      ++observed[std::min<std::uint64_t>(times[static_cast<std::size_t>(u * 420 + item)], max_times)];
    }
  }
  std::vector<double> expected(max_times + 1, 300.0 * 400);
  double below = 0;
  for (std::uint64_t k = 0; k < max_times; ++k) {
    const double chance = binomial_pmf(k, 20 * 4 * cycles, 1.0 / 400);
    below += chance;
    expected[k] *= chance;
  }
  expected[max_times] *= 1 - below;
  return {chi_squared_test("times a pair is drawn", observed, expected)};
}

TEST(cycles, counts_of_negative_pairs_are_binomial) {
  const auto own = [](std::uint32_t cycle) { return cycle; };
  EXPECT_TRUE(consistent(pair_counts(mutants::real_negative, own)));
  EXPECT_FALSE(consistent(pair_counts(mutants::real_negative, [](std::uint32_t cycle) {
    return cycle == 2 ? 0 : cycle;
  }))) << "cycle 2 draws what cycle 0 drew";
  EXPECT_FALSE(consistent(pair_counts(mutants::lowest_after_one_try, own)));
}

double distinct_share(mutants::negative_sampler sample) {
  const auto owner = catalogue(200, 40, 3706);
  const run r(owner, {.negatives = 4}, sample);
  const auto key = r.key(0);
  std::set<std::pair<std::int32_t, std::int32_t>> distinct;
  std::uint64_t negatives = 0;
  for (std::uint64_t i = 0; i < r.plan.point_count; ++i) {
    const point p = r.at(key, i);
    if (p.label == 1) continue;
    ++negatives;
    distinct.insert({index(p.user), index(p.item)});
  }
  return static_cast<double>(distinct.size()) / static_cast<double>(negatives);
}

TEST(cycles, more_than_nine_negatives_in_ten_are_distinct) {
  EXPECT_GT(distinct_share(mutants::real_negative), 0.9);
  EXPECT_LE(distinct_share(
                [](const core::positives_view& view, user_id user, std::uint64_t seed, std::uint32_t cycle,
                   std::uint64_t position) { return mutants::real_negative(view, user, seed, cycle, position % 16); }),
            0.9);
}

/// Returns the inverse of the shuffle: the position of each (slot, positive) index.
std::vector<std::uint64_t> positions(const core::cycle_key& key) {
  std::vector<std::uint64_t> at(key.order.size);
  for (std::uint64_t i = 0; i < at.size(); ++i) at[key.order(i)] = i;
  return at;
}

/// Tests independence of pairs of negatives: slots s and s + 1 of one positive, neighbouring positions, one slot in two
/// cycles. Items are binned by rank among those outside the user's positives, into 16 x 16 bins.
p_values slots_and_rows(mutants::negative_sampler sample) {
  const auto owner = catalogue(400, 40, 200);
  const run r(owner, {.negatives = 4}, sample);
  const auto key = r.key(0);
  const auto next = r.key(1);
  const auto at = positions(key);
  const auto at_next = positions(next);
  const std::uint64_t count = owner.positive_count();
  const auto bin = [&](const point& p) {
    return (static_cast<std::uint32_t>(index(p.item)) - r.data.csr.row(p.user).count_below(index(p.item))) / 10;
  };
  std::vector<std::uint64_t> slots(256, 0);
  std::vector<std::uint64_t> rows(256, 0);
  std::vector<std::uint64_t> cycles(256, 0);
  for (std::uint64_t p = 0; p < count; ++p) {
    for (std::uint64_t s = 1; s <= 4; ++s) {
      const std::uint64_t a = bin(r.at(key, at[s * count + p]));
      if (s < 4) ++slots[a * 16 + bin(r.at(key, at[(s + 1) * count + p]))];
      ++cycles[a * 16 + bin(r.at(next, at_next[s * count + p]))];
    }
  }
  for (std::uint64_t i = 0; i + 1 < r.plan.point_count; ++i) {
    const point a = r.at(key, i);
    const point b = r.at(key, i + 1);
    if (a.label == 0 && b.label == 0) ++rows[bin(a) * 16 + bin(b)];
  }
  return {uniform_test("slots of one positive", slots), uniform_test("neighbouring rows", rows),
          uniform_test("one slot in two cycles", cycles)};
}

TEST(cycles, slots_rows_and_cycles_are_independent) {
  EXPECT_TRUE(consistent(slots_and_rows(mutants::real_negative)));
  EXPECT_FALSE(consistent(slots_and_rows(mutants::word_shared_by_two)));
}

// The order is left out: it differs between cycles, which would hide equal draws.
TEST(cycles, detect_draws_that_ignore_the_cycle) {
  const auto owner = catalogue(400, 40, 200);
  const auto same_items = [&](mutants::negative_sampler sample) {
    const run r(owner, {}, sample);
    std::uint64_t same = 0;
    std::uint64_t trials = 0;
    for (std::uint64_t i = 0; i < r.plan.point_count; ++i) {
      const user_id user{static_cast<std::int32_t>(i % 400)};
      same += r.sample(r.data, user, 42, 0, i) == r.sample(r.data, user, 42, 2, i);
      ++trials;
    }
    return p_values{poisson_test("the same item", same, static_cast<double>(trials) / 160)};
  };
  EXPECT_TRUE(consistent(same_items(mutants::real_negative)));
  EXPECT_FALSE(consistent(same_items(mutants::cycle_ignored)));
}

/// Returns the index of the point at a position of a cycle.
using point_order = std::uint64_t (*)(const core::cycle_key& key, std::uint64_t position);

std::uint64_t core_order(const core::cycle_key& key, std::uint64_t position) { return key.order(position); }
std::uint64_t unshuffled(const core::cycle_key&, std::uint64_t position) { return position; }
/// Mutant: each fiftieth of the cycle is shuffled by itself.
std::uint64_t shuffled_within_parts(const core::cycle_key& key, std::uint64_t position) {
  const std::uint64_t part = key.order.size / 50;
  return position / part * part + (position + key.order.word[0]) % part;
}

/// Returns the z-score of each user's number of points in the first half of a cycle, which is hypergeometric.
/// table[user * parts + part] holds the sums over all cycles.
std::vector<double> first_half_of_users(const std::vector<std::uint64_t>& table, std::size_t parts, double points,
                                        double cycles) {
  const std::size_t users = table.size() / parts;
  const double each = points / static_cast<double>(users);
  const double deviation = std::sqrt(cycles * each / 4 * (points - each) / (points - 1));
  std::vector<double> z;
  for (std::size_t u = 0; u < users; ++u) {
    const auto row = table.begin() + static_cast<std::ptrdiff_t>(u * parts);
    const auto half = row + static_cast<std::ptrdiff_t>(parts / 2);
    z.push_back((static_cast<double>(std::accumulate(row, half, std::uint64_t{0})) - cycles * each / 2) / deviation);
  }
  return z;
}

/// Tests that users and labels are spread evenly over fifty parts of a cycle, and that the first and the last user, and
/// the users in order of their ids, show no trend between its halves.
p_values spread_over_parts(point_order order) {
  constexpr std::size_t users = 100;
  constexpr std::size_t parts = 50;
  constexpr std::uint32_t cycles = 20;
  const auto owner = catalogue(users, 50, 200);
  const run r(owner, {.negatives = 4}, mutants::real_negative);
  std::vector<std::uint64_t> table(users * parts, 0);
  std::vector<std::uint64_t> positives(parts, 0);
  for (std::uint32_t cycle = 0; cycle < cycles; ++cycle) {
    const auto key = r.key(cycle);
    for (std::uint64_t i = 0; i < r.plan.point_count; ++i) {
      const core::origin from = core::origin_of(r.plan, order(key, i));
      const std::uint64_t part = i * parts / r.plan.point_count;
      ++table[static_cast<std::size_t>(index(r.data.csr.user_of(from.positive))) * parts + part];
      positives[part] += from.is_positive;
    }
  }
  // Both margins are fixed in each cycle, so a cell's variance is that of a draw without replacement.
  const auto points = static_cast<double>(r.plan.point_count);
  const std::vector<double> expected(table.size(), points * cycles / (users * parts));
  const std::vector<double> even(parts, static_cast<double>(owner.positive_count()) * cycles / parts);
  const double spread = chi_squared_statistic(table, expected) * (points - 1) / points;
  // Labels are drawn without replacement, and 1 point in 5 is a positive.
  const double labels = chi_squared_statistic(positives, even) / 0.8;
  const std::vector<double> z = first_half_of_users(table, parts, points, cycles);
  return {chi_squared_value("user x part", spread, (users - 1) * (parts - 1)),
          chi_squared_value("labels", labels, parts - 1), normal_test("first user", z.front()),
          normal_test("last user", z.back()), normal_test("trend along users", spearman_z(z))};
}

TEST(cycles, users_and_labels_are_spread_evenly) {
  EXPECT_TRUE(consistent(spread_over_parts(core_order)));
  for (const point_order broken : {unshuffled, shuffled_within_parts}) {
    const p_values found = spread_over_parts(broken);
    for (const char* name : {"user x part", "labels", "first user", "last user"}) {
      EXPECT_FALSE(consistent(only(name, found))) << name;
    }
  }
}

/// Mutant: users with higher ids come slightly earlier.
std::uint64_t drifting(const core::cycle_key& key, std::uint64_t position) {
  const std::uint64_t q = key.order(position);
  const std::uint64_t size = key.order.size;
  const std::uint64_t partner = key.order((position + size / 2) % size);
  // Sorts one in eight pairs of positions half a cycle apart by user.
  const bool swapped = std::min(position, (position + size / 2) % size) % 8 == 0;
  if (!swapped) return q;
  const bool early = position < size / 2;
  const auto user_of = [&](std::uint64_t index) { return index % 5000 / 50; };
  return (user_of(q) > user_of(partner)) == early ? q : partner;
}

TEST(cycles, detect_a_trend_along_users) {
  EXPECT_FALSE(consistent(only("trend along users", spread_over_parts(drifting))));
}

/// Tests that the positions that padding repeats are uniform, and that neighbours are equal no more often than by
/// chance. Sums over 25 cycles.
p_values padding_sources(
    const std::function<std::uint64_t(const core::training_plan&, std::uint32_t, std::uint64_t)>& from) {
  const auto owner = catalogue(100, 20, 200);
  const auto plan = make_training_plan(owner, {.negatives = 4, .batch_size = 9'001});
  std::vector<std::uint64_t> counts(1000, 0);
  std::uint64_t before_shared = 0;
  for (std::uint32_t cycle = 0; cycle < 25; ++cycle) {
    for (std::uint64_t i = plan.point_count; i < plan.padded_count(); ++i) {
      const std::uint64_t drawn = from(plan, cycle, i);
      ++counts[std::min<std::uint64_t>(drawn / 10, 999)];
      before_shared += i > plan.point_count && drawn == from(plan, cycle, i - 1);
    }
  }
  const double draws = static_cast<double>(plan.padded_count() - plan.point_count) * 25;
  return {uniform_test("thousand bins", counts), poisson_test("as the one before", before_shared, draws / 10'000)};
}

TEST(padding, is_uniform_over_the_cycles_points) {
  EXPECT_TRUE(consistent(padding_sources([](const auto& plan, std::uint32_t cycle, std::uint64_t position) {
    return core::resampled_position(plan, cycle, position, core::philox_source{42});
  })));
  EXPECT_FALSE(consistent(padding_sources([](const auto& plan, std::uint32_t, std::uint64_t position) {
    return core::resampled_position(plan, 0, position, core::philox_source{42});
  }))) << "the same padding in every cycle";
  EXPECT_FALSE(consistent(padding_sources([](const auto& plan, std::uint32_t, std::uint64_t position) {
    return position % plan.point_count;
  }))) << "padding with the first points";
}

}  // namespace
}  // namespace negpipe::test
