#include "statistics/support/goodness.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include "statistics/support/distributions.hpp"

namespace negpipe::test {

namespace {

/// Returns min(1, 2 * tail), but keeps NaN, which holm_rejected must see.
double doubled(double tail) { return tail > 0.5 ? 1 : 2 * tail; }

double two_sided(double lower, double upper) { return doubled(std::min(lower, upper)); }

double total(std::span<const std::uint64_t> counts) {
  return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
}

std::vector<double> even(std::span<const std::uint64_t> counts) {
  return std::vector<double>(counts.size(), total(counts) / static_cast<double>(counts.size()));
}

}  // namespace

double chi_squared_statistic(std::span<const std::uint64_t> observed, std::span<const double> expected) {
  double sum = 0;
  for (std::size_t i = 0; i < observed.size(); ++i) {
    const double difference = static_cast<double>(observed[i]) - expected[i];
    if (expected[i] > 0) {
      sum += difference * difference / expected[i];
    } else if (observed[i] != 0) {
      return std::numeric_limits<double>::infinity();
    }
  }
  return sum;
}

p_value chi_squared_value(std::string name, double statistic, double df) {
  if (std::isinf(statistic)) return {std::move(name), 0};
  return {std::move(name), two_sided(gamma_p(df / 2, statistic / 2), gamma_q(df / 2, statistic / 2))};
}

p_value chi_squared_test(std::string name, std::span<const std::uint64_t> observed, std::span<const double> expected) {
  const auto cells = std::count_if(expected.begin(), expected.end(), [](double e) { return e > 0; });
  return chi_squared_value(std::move(name), chi_squared_statistic(observed, expected), static_cast<double>(cells - 1));
}

p_value uniform_test(std::string name, std::span<const std::uint64_t> observed) {
  return chi_squared_test(std::move(name), observed, even(observed));
}

p_value uniform_g_test(std::string name, std::span<const std::uint64_t> observed) {
  const double each = total(observed) / static_cast<double>(observed.size());
  double g = 0;
  for (const std::uint64_t count : observed) {
    if (count != 0) g += 2 * static_cast<double>(count) * std::log(static_cast<double>(count) / each);
  }
  // Williams' correction, for the mean of the statistic.
  const auto cells = static_cast<double>(observed.size());
  const double correction = 1 + (cells + 1) / (6 * total(observed));
  return chi_squared_value(std::move(name), g / correction, cells - 1);
}

p_value permutation_table_test(std::string name, std::span<const std::uint64_t> table, std::span<const double> widths,
                               std::uint64_t trials) {
  const double size = std::accumulate(widths.begin(), widths.end(), 0.0);
  std::vector<double> expected;
  for (const double row : widths) {
    for (const double column : widths) expected.push_back(static_cast<double>(trials) * row * column / size);
  }
  // A trial is a draw without replacement: a cell's variance is its mean times (1 - row / size)(1 - column / size) *
  // size / (size - 1).
  const double statistic = chi_squared_statistic(table, expected) * (size - 1) / size;
  const auto bins = static_cast<double>(widths.size());
  return chi_squared_value(std::move(name), statistic, (bins - 1) * (bins - 1));
}

p_value normal_test(std::string name, double z) { return {std::move(name), doubled(normal_upper(std::fabs(z)))}; }

p_value poisson_test(std::string name, std::uint64_t observed, double mean) {
  return {std::move(name), two_sided(poisson_lower(observed, mean), poisson_upper(observed, mean))};
}

p_value kolmogorov_smirnov_test(std::string name, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double distance = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto below = static_cast<double>(i);
    distance = std::max({distance, (below + 1) / n - values[i], values[i] - below / n});
  }
  return {std::move(name), kolmogorov_upper(distance, values.size())};
}

p_value anderson_darling_test(std::string name, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  constexpr double smallest = 1e-300;
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double low = std::max(values[i], smallest);
    const double high = std::max(1 - values[n - 1 - i], smallest);
    sum += (2 * static_cast<double>(i) + 1) * (std::log(low) + std::log(high));
  }
  const auto count = static_cast<double>(n);
  return {std::move(name), anderson_darling_upper(-count - sum / count)};
}

double spearman_z(std::span<const double> values) {
  const std::size_t n = values.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  // Equal values share the mean of their ranks: ties broken by index would make a trend.
  std::vector<double> rank(n);
  for (std::size_t begin = 0; begin < n;) {
    std::size_t end = begin;
    while (end < n && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i) rank[order[i]] = static_cast<double>(begin + end - 1) / 2;
    begin = end;
  }
  const double mean = static_cast<double>(n - 1) / 2;
  double product = 0;
  double index_square = 0;
  double rank_square = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(i) - mean;
    const double y = rank[i] - mean;
    product += x * y;
    index_square += x * x;
    rank_square += y * y;
  }
  return product / std::sqrt(index_square * rank_square) * std::sqrt(static_cast<double>(n - 1));
}

p_values holm_rejected(p_values family, double alpha) {
  for (p_value& value : family) {
    if (std::isnan(value.p)) value.p = 0;  // a failed computation must not pass
  }
  std::sort(family.begin(), family.end(), [](const p_value& a, const p_value& b) { return a.p < b.p; });
  std::size_t rejected = 0;
  while (rejected < family.size() && family[rejected].p <= alpha / static_cast<double>(family.size() - rejected)) {
    ++rejected;
  }
  family.resize(rejected);
  return family;
}

testing::AssertionResult consistent(const p_values& family, double alpha) {
  if (family.empty()) return testing::AssertionFailure() << "no test was made";
  const p_values rejected = holm_rejected(family, alpha);
  if (rejected.empty()) return testing::AssertionSuccess() << family.size() << " tests found nothing";
  auto result = testing::AssertionFailure() << rejected.size() << " of " << family.size() << " tests reject:";
  for (std::size_t i = 0; i < std::min<std::size_t>(rejected.size(), 10); ++i) {
    result << "\n  " << rejected[i].name << ": p = " << rejected[i].p;
  }
  return result;
}

p_values only(std::string_view name, const p_values& family) {
  p_values found;
  std::copy_if(family.begin(), family.end(), std::back_inserter(found),
               [&](const p_value& value) { return value.name == name; });
  return found;
}

void append(p_values& a, const p_values& b) { a.insert(a.end(), b.begin(), b.end()); }

}  // namespace negpipe::test
