// A battery of statistics of whole permutations, over many keys. It knows no cipher: it is run on the core's
// permutation, on broken ones, and on a textbook shuffle, which must pass for the battery to mean anything.
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

/// The core's permutation, cycle = key. rounds = 0 takes as many as the core chooses for the size, another even number
/// that many at most: the mutant "too few rounds".
permutation_family core_family(int rounds = 0, std::uint64_t seed = 42);

/// sigma_a^-1 sigma_b of two members of a family, which should be independent.
permutation_family relation(permutation_family a, permutation_family b);

/// The core's permutation of a size under (seed, cycle), with at most so many rounds (0: all).
core::permutation core_permutation(std::uint64_t size, std::uint64_t seed, std::uint32_t cycle, int rounds = 0);

/// Position tables, differences of neighbours and of positions a radix apart, second differences, pairs of neighbours,
/// successions, descents (mean and variance), fixed points, cycles, parity, pairs in one row or column of the radix
/// grid, and differentials: pairs of one column that keep their distance, which is what a Feistel network with too few
/// rounds gives away first (Patarin, "Generic attacks on Feistel schemes", ASIACRYPT 2001).
p_values permutation_battery(std::uint32_t size, std::uint64_t keys, const permutation_family& family);

/// Statistics for sizes too large to enumerate: positions, differences and differentials of sampled columns.
/// points is about how many images are computed.
p_values sampled_battery(std::uint64_t size, std::uint64_t points, int rounds, std::uint64_t seed = 42);

}  // namespace negpipe::test
