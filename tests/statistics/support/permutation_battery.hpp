// Statistics of whole permutations over many keys, for any family: the core's, broken ones, and a textbook shuffle as a
// control, which must pass.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "negpipe/core/permutation.hpp"
#include "statistics/support/goodness.hpp"

namespace negpipe::test {

/// Fills image with the key-th permutation of [0, image.size()) of a family.
using permutation_family = std::function<void(std::uint64_t key, std::span<std::uint32_t> image)>;

/// std::shuffle by a Mersenne twister: the control.
permutation_family textbook_family();

/// The core's permutation, cycle = key. rounds: maximum number of half rounds (even), for the mutant "too few rounds";
/// 0: as many as the core chooses.
permutation_family core_family(int rounds = 0, std::uint64_t seed = 42);

/// Returns a^-1 b, which is uniform if the families are independent.
permutation_family relation(permutation_family a, permutation_family b);

/// Returns one permutation of core_family.
core::permutation core_permutation(std::uint64_t size, std::uint64_t seed, std::uint32_t cycle, int rounds = 0);

/// Tests position tables, differences of neighbours and of positions a radix apart, second differences, pairs of
/// neighbours, successions, descents (mean and variance), fixed points, cycles, parity, pairs in one row or column of
/// the radix grid, and differentials. Differentials are pairs of one column that keep their distance: the first sign of
/// a Feistel network with too few rounds (Patarin, "Generic attacks on Feistel schemes", ASIACRYPT 2001).
p_values permutation_battery(std::uint32_t size, std::uint64_t keys, const permutation_family& family);

/// Tests sizes too large to enumerate: positions, differences and differentials of sampled columns.
/// points: approximate number of images to compute.
p_values sampled_battery(std::uint64_t size, std::uint64_t points, int rounds, std::uint64_t seed = 42);

}  // namespace negpipe::test
