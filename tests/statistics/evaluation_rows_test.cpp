// Evaluation rows are random subsets in random order, and independent between users.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "statistics/support/goodness.hpp"
#include "statistics/support/mutants.hpp"
#include "statistics/support/row_mutants.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::test {
namespace {

using mutants::row_sampler;

/// Maps a row's items to their ranks among the items outside the positives and the held-out item.
std::vector<std::uint32_t> ranks(const core::positives_view& view, user_id user, const std::vector<std::int32_t>& row) {
  std::vector<std::uint32_t> out;
  for (const std::int32_t item : row) {
    const auto outside = static_cast<std::uint32_t>(item) - view.csr.row(user).count_below(item);
    out.push_back(outside - (item > view.heldout[index(user)] ? 1 : 0));
  }
  return out;
}

/// Tests that all C(m, k) subsets occur equally often.
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

/// Returns the probability that `count` given ranks of m are all among k drawn without replacement:
/// k * (k - 1) * ... / (m * (m - 1) * ...), `count` factors each.
double all_drawn(double k, double m, int count) {
  double chance = 1;
  for (int i = 0; i < count; ++i) chance *= (k - i) / (m - i);
  return chance;
}

/// Statistics of the rows of many users, each of k ranks of m.
class row_counts {
 public:
  row_counts(std::uint32_t m, std::uint32_t k)
      : m_(m),
        k_(k),
        included_(m, 0),
        column_(std::size_t{k} * m, 0),
        distances_{1, 2, 3, 7, m / 3, m / 2, m - 1},
        together_(distances_.size(), 0),
        before_(m, false) {}

  void add(const std::vector<std::uint32_t>& row) {
    std::vector<bool> in(m_, false);
    for (std::uint32_t j = 0; j < k_; ++j) {
      ++included_[row[j]];
      ++column_[std::size_t{j} * m_ + row[j]];
      in[row[j]] = true;
    }
    for (std::size_t d = 0; d < distances_.size(); ++d) {
      for (std::uint32_t r = 0; r + distances_[d] < m_; ++r) together_[d] += in[r] && in[r + distances_[d]];
    }
    // Detects the mutant that shifts one permutation by the user's id.
    for (std::uint32_t r = 0; r < m_; ++r) shared_ += before_[r] && in[(r + 1) % m_];
    before_ = std::move(in);
    ++rows_;
  }

  p_values results() const {
    const double chance = static_cast<double>(k_) / m_;
    // Drawn without replacement within a row: a rank's count has variance rows * chance * (1 - chance).
    const std::vector<double> expected(m_, rows_ * chance);
    const double inclusion = chi_squared_statistic(included_, expected) / (1 - chance) * (m_ - 1) / m_;
    const double columns = chi_squared_statistic(column_, std::vector<double>(column_.size(), rows_ / m_));
    // The number of ranks that two independent rows share is hypergeometric.
    const double shared_mean = k_ * chance;
    const double shared_variance = k_ * chance * (1 - chance) * (m_ - k_) / (m_ - 1.0);
    p_values all = {chi_squared_value("inclusion", inclusion, m_ - 1),
                    chi_squared_value("rank x column", columns, k_ * (m_ - 1.0)),
                    normal_test("shifted by a user",
                                (shared_ - (rows_ - 1) * shared_mean) / std::sqrt((rows_ - 1) * shared_variance))};
    for (std::size_t d = 0; d < distances_.size(); ++d) all.push_back(pairs(distances_[d], together_[d]));
    return all;
  }

 private:
  /// Tests how often both ranks of a pair `distance` apart are included. Two such pairs share none, one or both ranks,
  /// hence the terms of the variance.
  p_value pairs(std::uint32_t distance, double together) const {
    const double pairs = m_ - distance;
    const double chained = 2 * std::max(0.0, static_cast<double>(m_) - 2.0 * distance);
    const double mean = pairs * all_drawn(k_, m_, 2);
    const double square =
        mean + chained * all_drawn(k_, m_, 3) + (pairs * pairs - pairs - chained) * all_drawn(k_, m_, 4);
    return normal_test("pairs " + std::to_string(distance) + " apart",
                       (together - rows_ * mean) / std::sqrt(rows_ * (square - mean * mean)));
  }

  std::uint32_t m_;
  std::uint32_t k_;
  double rows_ = 0;
  std::vector<std::uint64_t> included_;
  std::vector<std::uint64_t> column_;
  std::vector<std::uint32_t> distances_;
  std::vector<double> together_;
  double shared_ = 0;
  std::vector<bool> before_;
};

p_values inclusion(std::uint32_t m, row_sampler sample) {
  constexpr std::uint32_t k = 20;
  constexpr std::int32_t users = 20'000;
  const positives_owner data =
      random_positives(std::vector<std::int32_t>(users, 20), static_cast<std::int32_t>(m) + 21, 2);
  const core::positives_view view = data.view();
  row_counts counts(m, k);
  for (std::int32_t u = 0; u < users; ++u) counts.add(ranks(view, user_id{u}, sample(view, user_id{u}, k, 42)));
  return counts.results();
}

TEST(evaluation_rows, every_item_is_equally_likely_in_every_column_and_users_are_independent) {
  for (const std::uint32_t m : {50U, 97U, 500U}) {
    EXPECT_TRUE(consistent(inclusion(m, mutants::real_row))) << m;
    EXPECT_FALSE(consistent(inclusion(m, mutants::sort_unique_truncate))) << m;
    EXPECT_FALSE(consistent(inclusion(m, mutants::one_permutation_shifted))) << m;
    EXPECT_FALSE(consistent(only("pairs 1 apart", inclusion(m, mutants::consecutive_ranks)))) << m;
  }
}

// The stride mutant passes the tests of neighbours.
TEST(evaluation_rows, distant_ranks_occur_together_as_often_as_expected) {
  for (const std::uint32_t m : {97U, 500U}) {
    const p_values strided = inclusion(m, mutants::strided_ranks);
    EXPECT_FALSE(consistent(only("pairs 7 apart", strided))) << m;
    EXPECT_TRUE(consistent(only("inclusion", strided))) << m << ": one by one they are uniform";
  }
}

/// The MLPerf rule: drawn with replacement from all items outside the training positives.
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

TEST(evaluation_rows, with_replacement_are_uniform_and_contain_the_held_out_item) {
  EXPECT_TRUE(consistent(with_replacement([](const auto& plan, const auto& view, user_id user, std::uint32_t column) {
    return index(core::eval_item_at(plan, view, user, column, core::philox_source{plan.seed}));
  })));
  EXPECT_FALSE(consistent(with_replacement([](const auto& plan, const auto& view, user_id user, std::uint32_t column) {
    return mutants::heldout_left_out(view, user, plan.seed, 0, column);
  })));
}

}  // namespace
}  // namespace negpipe::test
