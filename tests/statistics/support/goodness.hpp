// Tests of fit. Each gives a named p-value, two-sided: counts that are too even are as suspect as counts that are not
// even. A family of p-values is judged as a whole, so that a long list of tests does not cry wolf.
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

/// The chance that a family of tests accuses a perfect sampler. Seeds are fixed, so it is met once, when they are
/// chosen, and never again.
inline constexpr double family_alpha = 1e-6;

/// Pearson's chi-squared statistic. An expected count of 0 must be met exactly, or the statistic is infinite.
double chi_squared_statistic(std::span<const std::uint64_t> observed, std::span<const double> expected);

/// A chi-squared statistic against its law, two-sided.
p_value chi_squared_value(std::string name, double statistic, double df);

/// Pearson's test of counts against expected ones of the same total; df = cells that may be filled - 1. Empty cells
/// count: a value that never comes out is the most telling of all.
p_value chi_squared_test(std::string name, std::span<const std::uint64_t> observed, std::span<const double> expected);

/// The same where all cells are equally likely.
p_value uniform_test(std::string name, std::span<const std::uint64_t> observed);

/// The likelihood-ratio test where all cells are equally likely.
p_value uniform_g_test(std::string name, std::span<const std::uint64_t> observed);

/// A rows x columns table in which every entry's margins are given: every row and every column sums to trials times
/// its width, as when each trial is a whole permutation cut into bins. Bins need not be equally wide.
p_value permutation_table_test(std::string name, std::span<const std::uint64_t> table, std::span<const double> widths,
                               std::uint64_t trials);

p_value normal_test(std::string name, double z);
p_value poisson_test(std::string name, std::uint64_t observed, double mean);

/// Whether values come from U(0, 1). The values' order does not matter.
p_value kolmogorov_smirnov_test(std::string name, std::vector<double> values);
p_value anderson_darling_test(std::string name, std::vector<double> values);

/// Spearman's rank correlation of index and value, as a z-score (sqrt(n - 1) times the correlation).
double spearman_z(std::span<const double> values);

/// The p-values that Holm's step-down procedure rejects at a family-wise error rate of alpha.
p_values holm_rejected(p_values family, double alpha);

/// Success when Holm rejects none; else a failure that names those rejected.
testing::AssertionResult consistent(const p_values& family, double alpha = family_alpha);

/// Those of that name alone: a mutant is to be caught by the test that is meant for it.
p_values only(std::string_view name, const p_values& family);

/// Appends b to a.
void append(p_values& a, const p_values& b);

}  // namespace negpipe::test
