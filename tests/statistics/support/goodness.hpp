// Goodness-of-fit tests. Each returns a named two-sided p-value, because counts that are too even are wrong as well. A
// family of p-values is tested together (Holm), so that many tests do not add up to a false alarm.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::test {

struct p_value {
  std::string name;
  double p;
};
using p_values = std::vector<p_value>;

/// Probability that a family of tests rejects a perfect sampler. Seeds are fixed, so this can happen only when they are
/// chosen.
inline constexpr double family_alpha = 1e-6;

/// Pearson's chi-squared statistic. Infinite if a cell of expected count 0 is not empty.
double chi_squared_statistic(std::span<const std::uint64_t> observed, std::span<const double> expected);

/// Returns the two-sided p-value of a chi-squared statistic.
p_value chi_squared_value(std::string name, double statistic, double df);

/// Pearson's test of counts against expected counts of the same total. df = cells with an expected count above 0, minus
/// 1; empty ones among them count.
p_value chi_squared_test(std::string name, std::span<const std::uint64_t> observed, std::span<const double> expected);

/// chi_squared_test with equally likely cells.
p_value uniform_test(std::string name, std::span<const std::uint64_t> observed);

/// Likelihood-ratio (G) test with equally likely cells.
p_value uniform_g_test(std::string name, std::span<const std::uint64_t> observed);

/// Tests a bins x bins table with fixed margins: row i and column i sum to trials * widths[i], as when each trial is a
/// whole permutation whose positions and values are binned. Widths may differ.
p_value permutation_table_test(std::string name, std::span<const std::uint64_t> table, std::span<const double> widths,
                               std::uint64_t trials);

p_value normal_test(std::string name, double z);
p_value poisson_test(std::string name, std::uint64_t observed, double mean);

/// Tests of values from U(0, 1). Their order does not matter.
p_value kolmogorov_smirnov_test(std::string name, std::vector<double> values);
p_value anderson_darling_test(std::string name, std::vector<double> values);

/// Returns Spearman's rank correlation of index and value times sqrt(n - 1), which is a z-score.
double spearman_z(std::span<const double> values);

/// Returns the p-values that Holm's step-down procedure rejects at a family-wise error rate of alpha.
p_values holm_rejected(p_values family, double alpha);

/// Succeeds if Holm rejects none; a failure lists the rejected ones. An empty family fails.
testing::AssertionResult consistent(const p_values& family, double alpha = family_alpha);

/// Returns the p-values of that name: a mutant must be detected by the test that is meant for it.
p_values only(std::string_view name, const p_values& family);

void append(p_values& a, const p_values& b);

}  // namespace negpipe::test
