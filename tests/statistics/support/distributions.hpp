// Tail probabilities of the distributions that the tests compare counts with.
#pragma once

#include <cstdint>

namespace negpipe::test {

/// Regularised incomplete gamma functions P(a, x) and Q(a, x) = 1 - P(a, x), for a > 0, x >= 0. Small values are
/// computed without cancellation. Source: Press et al., "Numerical Recipes", section 6.2.
double gamma_p(double a, double x);
double gamma_q(double a, double x);

/// P(X >= x), X chi-squared with df degrees of freedom.
double chi_squared_upper(double x, double df);

/// P(Z >= z), Z standard normal.
double normal_upper(double z);

/// P(X <= k) and P(X >= k), X Poisson with the given mean.
double poisson_lower(std::uint64_t k, double mean);
double poisson_upper(std::uint64_t k, double mean);

/// P(X = k), X binomial.
double binomial_pmf(std::uint64_t k, std::uint64_t n, double p);

/// P(D >= d), D the Kolmogorov-Smirnov distance of n uniforms: the limit with Stephens' correction, accurate from about
/// n = 100.
double kolmogorov_upper(double d, std::uint64_t n);

/// P(A >= a), A the limiting Anderson-Darling statistic. Source: Marsaglia and Marsaglia, "Evaluating the
/// Anderson-Darling distribution" (Journal of Statistical Software, 2004); absolute error below 2e-6.
double anderson_darling_upper(double a);

}  // namespace negpipe::test
