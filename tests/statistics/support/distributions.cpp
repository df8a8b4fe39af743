#include "statistics/support/distributions.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace negpipe::test {

namespace {

constexpr double epsilon = 1e-15;
constexpr int max_terms = 1'000'000;

double gamma_prefactor(double a, double x) { return std::exp(-x + a * std::log(x) - std::lgamma(a)); }

/// P(a, x) by its power series; converges fast for x < a + 1.
double gamma_p_series(double a, double x) {
  double term = 1 / a;
  double sum = term;
  for (int n = 1; n < max_terms && term > sum * epsilon; ++n) {
    term *= x / (a + n);
    sum += term;
  }
  return sum * gamma_prefactor(a, x);
}

/// Q(a, x) by its continued fraction (modified Lentz); converges fast for x > a + 1.
double gamma_q_fraction(double a, double x) {
  constexpr double tiny = std::numeric_limits<double>::min() / epsilon;
  double b = x + 1 - a;
  double c = 1 / tiny;
  double d = 1 / b;
  double h = d;
  for (int n = 1; n < max_terms; ++n) {
    const double an = -n * (n - a);
    b += 2;
    d = an * d + b;
    if (std::fabs(d) < tiny) d = tiny;
    c = b + an / c;
    if (std::fabs(c) < tiny) c = tiny;
    d = 1 / d;
    h *= d * c;
    if (std::fabs(d * c - 1) < epsilon) break;
  }
  return h * gamma_prefactor(a, x);
}

}  // namespace

double gamma_p(double a, double x) {
  if (x <= 0) return 0;
  return x < a + 1 ? gamma_p_series(a, x) : 1 - gamma_q_fraction(a, x);
}

double gamma_q(double a, double x) {
  if (x <= 0) return 1;
  return x < a + 1 ? 1 - gamma_p_series(a, x) : gamma_q_fraction(a, x);
}

double chi_squared_upper(double x, double df) { return gamma_q(df / 2, x / 2); }

double normal_upper(double z) { return std::erfc(z / std::numbers::sqrt2) / 2; }

double poisson_lower(std::uint64_t k, double mean) { return gamma_q(static_cast<double>(k) + 1, mean); }

double poisson_upper(std::uint64_t k, double mean) { return k == 0 ? 1 : gamma_p(static_cast<double>(k), mean); }

double binomial_pmf(std::uint64_t k, std::uint64_t n, double p) {
  const auto nd = static_cast<double>(n);
  const auto kd = static_cast<double>(k);
  return std::exp(std::lgamma(nd + 1) - std::lgamma(kd + 1) - std::lgamma(nd - kd + 1) + kd * std::log(p) +
                  (nd - kd) * std::log1p(-p));
}

double kolmogorov_upper(double d, std::uint64_t n) {
  const double root = std::sqrt(static_cast<double>(n));
  const double lambda = (root + 0.12 + 0.11 / root) * d;
  if (lambda < 0.2) return 1;  // the series does not converge there, and the result is 1 to 12 digits
  double sum = 0;
  for (int k = 100; k >= 1; --k) sum += (k % 2 == 1 ? 2 : -2) * std::exp(-2.0 * k * k * lambda * lambda);
  return sum;
}

double anderson_darling_upper(double a) {
  if (a <= 0) return 1;
  if (a < 2) {
    return 1 - std::exp(-1.2337141 / a) / std::sqrt(a) *
                   (2.00012 + (0.247105 - (0.0649821 - (0.0347962 - (0.011672 - 0.00168691 * a) * a) * a) * a) * a);
  }
  return -std::expm1(
      -std::exp(1.0776 - (2.30695 - (0.43424 - (0.082433 - (0.008056 - 0.0003146 * a) * a) * a) * a) * a));
}

}  // namespace negpipe::test
