// Negatives are uniform over the items outside the user's positives, alone and jointly; every mutant is detected.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "statistics/support/distributions.hpp"
#include "statistics/support/goodness.hpp"
#include "statistics/support/mutants.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::test {
namespace {

using core::positives_view;
using mutants::negative_sampler;

constexpr std::int32_t item_count = 300;

/// Users of degree 0, 1, median, 99th percentile, all but two and all but one item.
const positives_owner& degrees_data() {
  static const positives_owner data =
      random_positives({0, 1, 20, 25, 40, 100, 150, 250, item_count - 2, item_count - 1}, item_count, 3);
  return data;
}

/// Counts draws of each item outside the user's positives, by rank; the last element counts all other draws.
std::vector<std::uint64_t> counts_by_rank(const positives_view& view, user_id user, std::uint64_t draws,
                                          const std::function<std::int32_t(std::uint64_t)>& draw) {
  const core::item_row row = view.csr.row(user);
  std::vector<std::uint64_t> counts(static_cast<std::uint32_t>(view.item_count) - row.count + 1, 0);
  for (std::uint64_t i = 0; i < draws; ++i) {
    const std::int32_t item = draw(i);
    const bool outside = item >= 0 && item < view.item_count && !row.contains(item);
    ++counts[outside ? static_cast<std::uint32_t>(item) - row.count_below(item) : counts.size() - 1];
  }
  return counts;
}

p_values per_user(negative_sampler sample) {
  const positives_view view = degrees_data().view();
  const auto users = static_cast<std::uint64_t>(view.user_count);
  p_values all;
  for (std::int32_t u = 0; u < view.user_count; ++u) {
    const std::uint64_t left = static_cast<std::uint32_t>(item_count) - view.csr.row(user_id{u}).count;
    // Positions interleave the users, as in a cycle.
    auto counts = counts_by_rank(view, user_id{u}, left * 200, [&](std::uint64_t i) {
      return sample(view, user_id{u}, 42, 0, i * users + static_cast<std::uint64_t>(u));
    });
    all.push_back({"positives drawn by user " + std::to_string(u), counts.back() == 0 ? 1.0 : 0.0});
    counts.pop_back();
    if (counts.size() < 2) continue;
    all.push_back(uniform_test("chi-squared, user " + std::to_string(u), counts));
    if (counts.size() > 2) all.push_back(uniform_g_test("G, user " + std::to_string(u), counts));
  }
  return all;
}

TEST(negatives, are_uniform_for_users_of_every_degree) { EXPECT_TRUE(consistent(per_user(mutants::real_negative))); }

TEST(negatives, per_user_counts_detect_the_mutants) {
  EXPECT_FALSE(consistent(per_user(mutants::last_item_never)));
  EXPECT_FALSE(consistent(per_user(mutants::exclusion_off)));
  EXPECT_FALSE(consistent(per_user(mutants::lowest_after_one_try)));
  EXPECT_FALSE(consistent(per_user(mutants::next_after_one_try)));
  EXPECT_FALSE(consistent(per_user(mutants::short_period)));
  EXPECT_FALSE(consistent(per_user(mutants::end_included)));
}

// The mutant would not end for a user with only the held-out item left.
TEST(negatives, detect_exclusion_of_the_held_out_item) {
  const positives_owner data = random_positives({20}, 100, 4);
  const auto heldout_test = [&](negative_sampler sample) {
    auto counts = counts_by_rank(data.view(), user_id{0}, 80 * 200,
                                 [&](std::uint64_t i) { return sample(data.view(), user_id{0}, 42, 0, i); });
    counts.pop_back();
    return p_values{uniform_test("with the held-out item", counts)};
  };
  EXPECT_TRUE(consistent(heldout_test(mutants::real_negative)));
  EXPECT_FALSE(consistent(heldout_test(mutants::heldout_left_out)));
}

/// Tests that the p-values of a thousand users are uniform.
p_values second_level(negative_sampler sample) {
  constexpr int users = 1000;
  std::vector<double> upper;
  const positives_owner data = random_positives(std::vector<std::int32_t>(users, 10), 60, 5);
  const positives_view view = data.view();
  for (std::int32_t u = 0; u < users; ++u) {
    auto counts = counts_by_rank(view, user_id{u}, 50 * 100, [&](std::uint64_t i) {
      return sample(view, user_id{u}, 42, 0, i * users + static_cast<std::uint64_t>(u));
    });
    counts.pop_back();
    const std::vector<double> expected(50, 100);
    upper.push_back(chi_squared_upper(chi_squared_statistic(counts, expected), 49));
  }
  return {kolmogorov_smirnov_test("Kolmogorov-Smirnov", upper), anderson_darling_test("Anderson-Darling", upper)};
}

TEST(negatives, p_values_of_a_thousand_users_are_uniform) {
  constexpr double alpha = 1e-4;
  EXPECT_TRUE(consistent(second_level(mutants::real_negative), alpha));
  EXPECT_FALSE(consistent(second_level(mutants::next_after_one_try), alpha));
}

/// Tests the first and last items, and a trend along item ids, over the draws of all users.
p_values edges_and_trends(negative_sampler sample) {
  constexpr std::int32_t items = 500;
  std::vector<std::int32_t> degrees(400, 20);
  const positives_owner data = random_positives(degrees, items, 6);
  const positives_view view = data.view();
  std::vector<double> expected(items, 0);
  std::vector<std::uint64_t> counts(items, 0);
  constexpr std::uint64_t draws = 1000;
  for (std::int32_t u = 0; u < view.user_count; ++u) {
    for (std::int32_t item = 0; item < items; ++item) {
      if (!view.contains(user_id{u}, item)) expected[static_cast<std::size_t>(item)] += draws / 480.0;
    }
    for (std::uint64_t i = 0; i < draws; ++i) {
      ++counts[static_cast<std::size_t>(sample(view, user_id{u}, 7, 1, i * 400 + static_cast<std::uint64_t>(u)))];
    }
  }
  std::vector<double> z(items);
  for (std::size_t i = 0; i < z.size(); ++i) {
    z[i] = (static_cast<double>(counts[i]) - expected[i]) / std::sqrt(expected[i]);
  }
  return {normal_test("first item", z.front()),
          normal_test("last item", z.back()),
          normal_test("trend along items", spearman_z(z)),
          {"items never drawn", std::count(counts.begin(), counts.end(), 0U) == 0 ? 1.0 : 0.0}};
}

TEST(negatives, show_no_trend_along_items_and_reach_both_ends) {
  EXPECT_TRUE(consistent(edges_and_trends(mutants::real_negative)));
  EXPECT_FALSE(consistent(edges_and_trends(mutants::last_item_never)));
  EXPECT_FALSE(consistent(edges_and_trends(mutants::lowest_after_one_try)));
}

/// Maps a negative to its rank among the items outside the user's positives, in 16 bins of equal width.
class coarse_ranks {
 public:
  explicit coarse_ranks(negative_sampler sample) : sample_(sample) {}

  std::uint64_t operator()(std::uint64_t seed, std::uint32_t cycle, std::uint64_t position) const {
    const user_id user{static_cast<std::int32_t>(position * 7 % 50)};
    const std::int32_t item = sample_(view_, user, seed, cycle, position);
    return (static_cast<std::uint32_t>(item) - view_.csr.row(user).count_below(item)) / 10;
  }

 private:
  negative_sampler sample_;
  positives_owner data_ = random_positives(std::vector<std::int32_t>(50, 40), 200, 8);
  positives_view view_ = data_.view();
};

using rank_pair = std::function<std::pair<std::uint64_t, std::uint64_t>(const coarse_ranks&, std::uint64_t)>;

p_value joint(const std::string& name, const coarse_ranks& rank, const rank_pair& pair) {
  std::vector<std::uint64_t> counts(256, 0);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const auto [a, b] = pair(rank, i);
    ++counts[std::min<std::uint64_t>(a, 15) * 16 + std::min<std::uint64_t>(b, 15)];
  }
  return uniform_test(name, counts);
}

p_values independence(negative_sampler sample) {
  const coarse_ranks rank(sample);
  p_values all;
  for (const std::uint64_t apart : {1ULL, 2ULL, 3ULL, 4ULL, 5ULL, 50ULL, 4096ULL, 1ULL << 34}) {
    all.push_back(
        joint("positions " + std::to_string(apart) + " apart", rank,
              [&](const coarse_ranks& r, std::uint64_t i) { return std::pair(r(42, 0, i), r(42, 0, i + apart)); }));
  }
  all.push_back(joint("next cycle", rank,
                      [](const coarse_ranks& r, std::uint64_t i) { return std::pair(r(42, 0, i), r(42, 1, i)); }));
  all.push_back(joint("the cycle after the next", rank,
                      [](const coarse_ranks& r, std::uint64_t i) { return std::pair(r(42, 0, i), r(42, 2, i)); }));
  all.push_back(joint("next seed, cycle before", rank,
                      [](const coarse_ranks& r, std::uint64_t i) { return std::pair(r(42, 1, i), r(43, 0, i)); }));
  for (const unsigned bit : {0U, 1U, 31U, 32U, 63U}) {
    all.push_back(
        joint("seed with bit " + std::to_string(bit) + " flipped", rank, [&](const coarse_ranks& r, std::uint64_t i) {
          return std::pair(r(42, 0, i), r(42ULL ^ (1ULL << bit), 0, i));
        }));
  }
  return all;
}

TEST(negatives, neighbours_cycles_and_seeds_are_independent) {
  EXPECT_TRUE(consistent(independence(mutants::real_negative)));
  EXPECT_FALSE(consistent(independence(mutants::cycle_ignored)));
  EXPECT_FALSE(consistent(independence(mutants::cycle_added_to_seed)));
  EXPECT_FALSE(consistent(independence(mutants::word_shared_by_two)));
  EXPECT_FALSE(consistent(independence(mutants::short_period)));
}

/// Tests the number of equal draws from a large catalogue, which is Poisson.
p_values collisions(negative_sampler sample) {
  constexpr std::int32_t items = 1 << 22;
  constexpr std::uint64_t draws = 1 << 15;
  const positives_owner data = random_positives({20}, items, 9);
  std::vector<std::int32_t> drawn;
  for (std::uint64_t i = 0; i < draws; ++i) drawn.push_back(sample(data.view(), user_id{0}, 42, 0, i));
  std::sort(drawn.begin(), drawn.end());
  std::uint64_t pairs = 0;
  std::uint64_t run = 0;
  for (std::size_t i = 1; i < drawn.size(); ++i) {
    run = drawn[i] == drawn[i - 1] ? run + 1 : 0;
    pairs += run;
  }
  return {poisson_test("equal draws", pairs, static_cast<double>(draws) * (draws - 1) / 2 / (items - 20))};
}

TEST(negatives, collide_at_the_poisson_rate) {
  EXPECT_TRUE(consistent(collisions(mutants::real_negative)));
  EXPECT_FALSE(consistent(collisions(mutants::word_shared_by_two)));
  EXPECT_FALSE(consistent(collisions(mutants::modulo_bias))) << "16-bit words reach a 64th of the items";
}

/// Counts the attempts of a draw.
struct counting_source {
  core::philox_source source;
  std::uint32_t* asked;

  core::random_block operator()(core::counter c) const {
    *asked += c.word[1] >> core::attempt_bits == static_cast<std::uint32_t>(core::tag::train_draw);
    return source(c);
  }
};

/// Returns the number of candidates that the draw at a position tries, at most max_draw_attempts.
using attempt_counter = std::uint32_t (*)(const positives_view&, std::uint64_t position);

std::uint32_t attempts_of_the_core(const positives_view& view, std::uint64_t position) {
  std::uint32_t asked = 0;
  core::draw_negative(view, user_id{0}, core::bounded32::make(item_count), mutants::stream_of(0), position,
                      counting_source{{42}, &asked});
  return asked;
}

/// Mutant: tries each candidate twice before it takes the next word.
std::uint32_t attempts_with_stale_words(const positives_view& view, std::uint64_t position) {
  for (std::uint32_t attempt = 0; attempt < core::max_draw_attempts; ++attempt) {
    const std::uint32_t item = core::mul_hi(mutants::candidate_word(42, 0, position, attempt / 2), item_count);
    if (!view.contains(user_id{0}, static_cast<std::int32_t>(item))) return attempt + 1;
  }
  return core::max_draw_attempts;
}

/// Mutant: draws by rank after one attempt.
std::uint32_t attempts_that_end_after_one(const positives_view&, std::uint64_t) { return 1; }

/// Tests the number of attempts of a user with `degree` positives, which is geometric. Rare high counts share a cell.
p_value geometric(std::int32_t degree, attempt_counter count_attempts) {
  const positives_owner data = random_positives({degree}, item_count, 10);
  const double density = degree / 300.0;
  std::vector<std::uint64_t> counts(core::max_draw_attempts, 0);
  constexpr std::uint64_t draws = 100'000;
  for (std::uint64_t i = 0; i < draws; ++i) {
    const std::uint32_t attempts = count_attempts(data.view(), i);
    if (attempts < 1 || attempts > core::max_draw_attempts) return {"attempts out of range", 0};
    ++counts[attempts - 1];
  }
  std::vector<double> expected(counts.size());
  double longer = draws;
  for (std::size_t a = 0; a < counts.size(); ++a) {
    expected[a] = a + 1 == counts.size() ? longer : longer * (1 - density);
    longer *= density;
  }
  while (expected.size() > 2 && expected.back() < 20) {
    counts[counts.size() - 2] += counts.back();
    expected[expected.size() - 2] += expected.back();
    counts.pop_back();
    expected.pop_back();
  }
  return chi_squared_test("degree " + std::to_string(degree), counts, expected);
}

p_values geometric_at_every_density(attempt_counter count_attempts) {
  p_values all;
  for (const std::int32_t degree : {30, 150, 270, 295}) all.push_back(geometric(degree, count_attempts));
  return all;
}

TEST(negatives, attempts_are_geometric_in_the_density) {
  EXPECT_TRUE(consistent(geometric_at_every_density(attempts_of_the_core)));
  EXPECT_FALSE(consistent(geometric_at_every_density(attempts_with_stale_words)));
  EXPECT_FALSE(consistent(geometric_at_every_density(attempts_that_end_after_one)));
  const positives_owner nothing = random_positives({0}, item_count, 10);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    // A word is rejected with probability (2^32 mod 300) / 2^32, about 1 in 16 million.
    ASSERT_EQ(attempts_of_the_core(nothing.view(), i), 1U) << "only a rejected word costs a second attempt";
  }
}

// The user has 5 of 300 items left, so two draws in three are by rank.
TEST(negatives, draws_by_rank_are_uniform_alone_and_in_the_mixture) {
  const positives_owner data = random_positives({295}, item_count, 11);
  const positives_view view = data.view();
  std::uint64_t by_rank = 0;
  constexpr std::uint64_t draws = 200'000;
  std::vector<std::uint64_t> alone(5, 0);
  const core::item_row row = view.csr.row(user_id{0});
  for (std::uint64_t i = 0; i < draws; ++i) {
    const std::int32_t item = core::draw_outside(view, user_id{0}, mutants::all_items(view), mutants::stream_of(0), i,
                                                 core::philox_source{42});
    ++alone[static_cast<std::uint32_t>(item) - row.count_below(item)];
    by_rank += item == mutants::real_negative(view, user_id{0}, 42, 0, i);
  }
  auto mixture = counts_by_rank(view, user_id{0}, draws,
                                [&](std::uint64_t i) { return mutants::real_negative(view, user_id{0}, 42, 0, i); });
  EXPECT_EQ(mixture.back(), 0U);
  mixture.pop_back();
  // A draw is by rank with probability d^16; any other draw equals the draw by rank in one of five cases.
  const double reached = std::pow(295.0 / 300, 16);
  const double agree = reached + (1 - reached) / 5;
  const double z = (static_cast<double>(by_rank) - draws * agree) / std::sqrt(draws * agree * (1 - agree));
  EXPECT_TRUE(
      consistent({uniform_test("by rank", alone), uniform_test("mixture", mixture), normal_test("reached", z)}));
}

}  // namespace
}  // namespace negpipe::test
