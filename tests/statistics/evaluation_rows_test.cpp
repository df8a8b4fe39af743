// Evaluation rows are random subsets in random order: every subset, every inclusion, every place, and no relation
// between users.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "statistics/support/goodness.hpp"
#include "statistics/support/mutants.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::test {
namespace {

using mutants::row_sampler;

/// A row's items as ranks among those outside the positives and the held-out item.
std::vector<std::uint32_t> ranks(const core::positives_view& view, user_id user, const std::vector<std::int32_t>& row) {
  std::vector<std::uint32_t> out;
  for (const std::int32_t item : row) {
    const auto outside = static_cast<std::uint32_t>(item) - view.csr.row(user).count_below(item);
    out.push_back(outside - (item > view.heldout[index(user)] ? 1 : 0));
  }
  return out;
}

/// Which of the C(M, k) subsets a row is, over many rows.
p_value subsets(std::uint32_t m, std::uint32_t k, std::uint64_t rows, row_sampler sample) {
  const positives_owner data = random_positives({3, 0, 5}, static_cast<std::int32_t>(m) + 4, 1);
  const core::positives_view view = data.view();  // user 0 has m items left
  std::vector<std::uint64_t> by_mask(std::size_t{1} << m, 0);
  for (std::uint64_t seed = 0; seed < rows; ++seed) {
    std::size_t mask = 0;
    for (const std::uint32_t rank : ranks(view, user_id{0}, sample(view, user_id{0}, k, seed))) {
      mask |= std::size_t{1} << rank;
    }
    ++by_mask[mask];
  }
  std::vector<double> expected(by_mask.size(), 0);
  double cells = 0;
  for (std::size_t mask = 0; mask < by_mask.size(); ++mask) cells += __builtin_popcountll(mask) == static_cast<int>(k);
  for (std::size_t mask = 0; mask < by_mask.size(); ++mask) {
    if (__builtin_popcountll(mask) == static_cast<int>(k)) expected[mask] = static_cast<double>(rows) / cells;
  }
  return chi_squared_test("subsets of " + std::to_string(k) + " of " + std::to_string(m), by_mask, expected);
}

TEST(evaluation_rows, every_subset_is_equally_likely) {
  EXPECT_TRUE(consistent({subsets(6, 3, 100'000, mutants::real_row), subsets(8, 4, 1'000'000, mutants::real_row)}));
  EXPECT_FALSE(consistent({subsets(6, 3, 100'000, mutants::sort_unique_truncate)}));
  EXPECT_FALSE(consistent({subsets(8, 4, 100'000, mutants::consecutive_ranks)}));
}

/// Many users' rows as the pipeline makes them, one seed: inclusion, pairs, and rank x place.
p_values inclusion(std::uint32_t m, std::uint32_t k, std::int32_t users, row_sampler sample) {
  const positives_owner data = random_positives(std::vector<std::int32_t>(static_cast<std::size_t>(users), 20),
                                                static_cast<std::int32_t>(m) + 21, 2);
  const core::positives_view view = data.view();
  std::vector<std::uint64_t> included(m, 0);
  std::vector<std::uint64_t> place(std::size_t{k} * m, 0);
  double neighbours = 0;
  double pairs_before = 0;
  std::vector<bool> in_before(m, false);
  for (std::int32_t u = 0; u < users; ++u) {
    const auto row = ranks(view, user_id{u}, sample(view, user_id{u}, k, 42));
    std::vector<bool> in(m, false);
    for (std::uint32_t j = 0; j < k; ++j) {
      ++included[row[j]];
      ++place[std::size_t{j} * m + row[j]];
      in[row[j]] = true;
    }
    for (std::uint32_t r = 0; r + 1 < m; ++r) neighbours += in[r] && in[r + 1];
    // A shift by one user is the relation that the mutant leaves behind.
    for (std::uint32_t r = 0; r < m; ++r) pairs_before += in_before[r] && in[(r + 1) % m];
    in_before = in;
  }
  const double rows = users;
  const double chance = static_cast<double>(k) / m;
  // Drawn without replacement within a row: a rank's count has variance rows * chance * (1 - chance).
  const std::vector<double> expected(m, rows * chance);
  const double inclusion_statistic = chi_squared_statistic(included, expected) / (1 - chance) * (m - 1) / m;
  const std::vector<double> place_expected(place.size(), rows / m);
  // A row has as many runs of neighbouring ranks as a hypergeometric variable says, and a run of length l has l - 1
  // pairs; two rows, one of them shifted, share as many ranks as another says.
  const double n = m;
  const double pair_mean = k * (k - 1.0) / n;
  const double pair_variance = k * (n - k + 1) / n * (k - 1) / n * (n - k) / (n - 1);
  const double shared_mean = k * chance;
  const double shared_variance = k * chance * (1 - chance) * (n - k) / (n - 1);
  return {chi_squared_value("inclusion", inclusion_statistic, m - 1),
          chi_squared_value("rank x place", chi_squared_statistic(place, place_expected), k * (m - 1.0)),
          normal_test("neighbours together", (neighbours - rows * pair_mean) / std::sqrt(rows * pair_variance)),
          normal_test("shifted by a user",
                      (pairs_before - (rows - 1) * shared_mean) / std::sqrt((rows - 1) * shared_variance))};
}

TEST(evaluation_rows, every_item_stands_in_every_place_and_users_are_independent) {
  for (const std::uint32_t m : {50U, 97U, 500U}) {
    EXPECT_TRUE(consistent(inclusion(m, 20, 20'000, mutants::real_row))) << m;
    EXPECT_FALSE(consistent(inclusion(m, 20, 20'000, mutants::sort_unique_truncate))) << m;
    EXPECT_FALSE(consistent(inclusion(m, 20, 20'000, mutants::one_permutation_shifted))) << m;
    EXPECT_FALSE(consistent(inclusion(m, 20, 20'000, mutants::consecutive_ranks))) << m;
  }
}

/// The MLPerf rule: with replacement, uniform over everything outside the training positives.
p_values with_replacement(const std::function<std::int32_t(const core::evaluation_plan&, const core::positives_view&,
                                                           user_id, std::uint32_t)>& sample) {
  const positives_owner data = random_positives({0, 20, 60, 99}, 100, 3);
  const core::positives_view view = data.view();
  const auto plan = make_evaluation_plan(data, 20'000, true, 42);
  p_values all;
  for (std::int32_t u = 0; u < 3; ++u) {
    const core::item_row row = view.csr.row(user_id{u});
    std::vector<std::uint64_t> counts(100 - row.count, 0);
    for (std::uint32_t column = 1; column <= plan.negatives; ++column) {
      const std::int32_t item = sample(plan, view, user_id{u}, column);
      ++counts[static_cast<std::uint32_t>(item) - row.count_below(item)];
    }
    all.push_back(uniform_test("user " + std::to_string(u), counts));
  }
  return all;
}

TEST(evaluation_rows, with_replacement_are_uniform_and_hold_the_held_out_item) {
  EXPECT_TRUE(consistent(with_replacement([](const auto& plan, const auto& view, user_id user, std::uint32_t column) {
    return index(core::eval_item_at(plan, view, user, column, core::philox_source{plan.seed}));
  })));
  EXPECT_FALSE(consistent(with_replacement([](const auto& plan, const auto& view, user_id user, std::uint32_t column) {
    return mutants::heldout_left_out(view, user, plan.seed, 0, column);
  })));
}

}  // namespace
}  // namespace negpipe::test
