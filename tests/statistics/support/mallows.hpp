// The Mallows kernel of permutations, and the discrepancy from the uniform distribution in its space.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "statistics/support/permutation_battery.hpp"

namespace negpipe::test {

/// Returns exp(-lambda d / C(n, 2)), d the number of inversions.
inline double mallows_kernel(std::span<std::uint32_t> image, double lambda) {
  // Counts inversions from the right with a Fenwick tree.
  const std::size_t n = image.size();
  std::vector<std::uint32_t> tree(n + 1, 0);
  std::uint64_t inversions = 0;
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = image[i]; k > 0; k &= k - 1) inversions += tree[k];
    for (std::size_t k = image[i] + 1; k <= n; k += k & -k) ++tree[k];
  }
  const auto pairs = static_cast<double>(n * (n - 1)) / 2;
  return std::exp(-lambda * static_cast<double>(inversions) / pairs);
}

/// Returns the kernel's mean over uniform permutations. Source: Mitchell, Stokes, Frank and Holmes, "Bandwidth-optimal
/// random shuffling for GPUs" (ACM TOPC 2022).
inline double mallows_mean(std::uint32_t n, double lambda) {
  const double size = n;
  const double step = lambda / (size * (size - 1) / 2);
  double product = 1;
  for (double j = 1; j <= size; ++j) product *= std::expm1(-j * step) / (j * std::expm1(-step));
  return product;
}

/// Tests the squared maximum mean discrepancy from the uniform distribution, as a z-score.
inline p_value mmd(std::uint32_t size, std::uint64_t keys, const permutation_family& family) {
  constexpr double lambda = 5;
  std::vector<std::uint32_t> image(size);
  double sum = 0;
  for (std::uint64_t key = 0; key < keys; ++key) {
    family(key, image);
    sum += mallows_kernel(image, lambda);
  }
  const double mean = mallows_mean(size, lambda);
  const double variance = mallows_mean(size, 2 * lambda) - mean * mean;
  const auto trials = static_cast<double>(keys);
  return normal_test("MMD of " + std::to_string(size), (sum / trials - mean) / std::sqrt(variance / trials));
}

}  // namespace negpipe::test
