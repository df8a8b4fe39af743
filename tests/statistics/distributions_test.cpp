// Tests the statistical tests: p-values against published ones, and each goodness-of-fit test on data that it must
// accept and on data that it must reject.
#include "statistics/support/distributions.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "statistics/support/goodness.hpp"

namespace negpipe::test {
namespace {

void expect_relative(double found, double wanted, double tolerance) {
  EXPECT_NEAR(found / wanted, 1, tolerance) << found << " found, " << wanted << " wanted";
}

TEST(distributions, chi_squared_has_its_closed_forms) {
  for (const double x : {0.01, 0.5, 1.0, 3.0, 10.0, 60.0, 400.0}) {
    expect_relative(chi_squared_upper(x, 1), std::erfc(std::sqrt(x / 2)), 1e-11);
    expect_relative(chi_squared_upper(x, 2), std::exp(-x / 2), 1e-11);
    expect_relative(chi_squared_upper(x, 4), std::exp(-x / 2) * (1 + x / 2), 1e-11);
  }
}

TEST(distributions, chi_squared_has_its_tabled_quantiles) {
  expect_relative(chi_squared_upper(3.841458820694124, 1), 0.05, 1e-10);
  expect_relative(chi_squared_upper(18.307038053275146, 10), 0.05, 1e-10);
  expect_relative(chi_squared_upper(157.80, 119), 0.01, 1e-3);
  expect_relative(chi_squared_upper(207.20, 119), 1e-6, 5e-3);
}

TEST(distributions, gamma_equals_the_sum_of_poisson_terms) {
  for (const int a : {1, 7, 200, 20160}) {
    for (const double ratio : {0.96, 0.999, 1.0, 1.001, 1.04}) {
      const double x = a * ratio;
      double lower = 0;
      for (int k = 0; k < a; ++k) lower += std::exp(-x + k * std::log(x) - std::lgamma(k + 1.0));
      expect_relative(gamma_q(a, x), lower, 1e-8);
      EXPECT_NEAR(gamma_p(a, x) + gamma_q(a, x), 1, 1e-12);
    }
  }
  EXPECT_EQ(gamma_p(3, 0), 0);
  EXPECT_EQ(gamma_q(3, 0), 1);
}

TEST(distributions, poisson_tails_meet) {
  expect_relative(poisson_lower(0, 2.5), std::exp(-2.5), 1e-12);
  expect_relative(poisson_lower(1, 2.5), std::exp(-2.5) * 3.5, 1e-12);
  EXPECT_EQ(poisson_upper(0, 2.5), 1);
  EXPECT_NEAR(poisson_lower(9, 12.0) + poisson_upper(10, 12.0), 1, 1e-12);
}

TEST(distributions, binomial_sums_to_one) {
  expect_relative(binomial_pmf(2, 4, 0.5), 0.375, 1e-12);
  double sum = 0;
  for (std::uint64_t k = 0; k <= 50; ++k) sum += binomial_pmf(k, 50, 0.03);
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(distributions, normal_kolmogorov_and_anderson_darling_have_their_tabled_quantiles) {
  expect_relative(normal_upper(1.6448536269514722), 0.05, 1e-10);
  expect_relative(normal_upper(4.753424308822899), 1e-6, 1e-8);
  constexpr std::uint64_t many = 1'000'000'000'000;
  expect_relative(kolmogorov_upper(1.3581 / 1e6, many), 0.05, 1e-3);
  expect_relative(kolmogorov_upper(1.6276 / 1e6, many), 0.01, 1e-3);
  EXPECT_EQ(kolmogorov_upper(0, 1000), 1);
  expect_relative(anderson_darling_upper(1.933), 0.10, 2e-3);
  expect_relative(anderson_darling_upper(2.492), 0.05, 2e-3);
  expect_relative(anderson_darling_upper(3.878), 0.01, 1e-2);
}

std::vector<std::uint64_t> die_rolls(unsigned sides, unsigned loaded_percent) {
  std::mt19937 generator(1);
  std::vector<std::uint64_t> counts(sides, 0);
  for (int i = 0; i < 100'000; ++i) {
    const auto side = generator() % 100 < loaded_percent ? 0 : static_cast<std::size_t>(generator() % sides);
    ++counts[side];
  }
  return counts;
}

TEST(goodness, a_fair_die_passes_and_a_loaded_one_fails) {
  EXPECT_TRUE(consistent({uniform_test("fair", die_rolls(20, 0)), uniform_g_test("fair", die_rolls(20, 0))}));
  EXPECT_FALSE(consistent({uniform_test("loaded", die_rolls(20, 2))}));
  EXPECT_FALSE(consistent({uniform_g_test("loaded", die_rolls(20, 2))}));
}

TEST(goodness, detects_an_empty_and_an_impossible_cell) {
  auto counts = die_rolls(20, 0);
  counts[19] = 0;
  EXPECT_FALSE(consistent({uniform_test("empty cell", counts)}));
  const std::vector<std::uint64_t> observed = {1, 100};
  const std::vector<double> expected = {0, 101};
  EXPECT_FALSE(consistent({chi_squared_test("impossible", observed, expected)}));
}

TEST(goodness, counts_that_are_too_even_fail) {
  EXPECT_FALSE(consistent({uniform_test("all equal", std::vector<std::uint64_t>(100, 1000))}));
}

TEST(goodness, uniform_values_pass_and_squeezed_ones_fail) {
  std::mt19937_64 generator(2);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> values(2000);
  for (double& value : values) value = uniform(generator);
  EXPECT_TRUE(consistent({kolmogorov_smirnov_test("uniform", values), anderson_darling_test("uniform", values)}));
  for (double& value : values) value = std::pow(value, 1.2);
  EXPECT_FALSE(consistent({kolmogorov_smirnov_test("squeezed", values)}));
  EXPECT_FALSE(consistent({anderson_darling_test("squeezed", values)}));
}

TEST(goodness, spearman_detects_a_trend_and_none_in_ties) {
  std::vector<double> values(1000);
  std::mt19937 generator(3);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(generator() % 3);
  EXPECT_LT(std::fabs(spearman_z(values)), 4);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += static_cast<double>(i) / 500;
  EXPECT_GT(spearman_z(values), 10);
}

TEST(goodness, holm_steps_down) {
  // 0.01 <= 0.05 / 4, 0.013 <= 0.05 / 3, 0.03 > 0.05 / 2: stops there, so 0.04 <= 0.05 is not rejected.
  const auto rejected = holm_rejected({{"c", 0.03}, {"a", 0.01}, {"d", 0.04}, {"b", 0.013}}, 0.05);
  ASSERT_EQ(rejected.size(), 2U);
  EXPECT_EQ(rejected[0].name, "a");
  EXPECT_EQ(rejected[1].name, "b");
  EXPECT_FALSE(consistent({normal_test("not a number", std::nan(""))}));
  EXPECT_FALSE(consistent({})) << "an empty family proves nothing";
}

}  // namespace
}  // namespace negpipe::test
