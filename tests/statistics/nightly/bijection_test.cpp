// The permutation is a bijection at sizes that take minutes to enumerate.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "statistics/nightly/seed.hpp"
#include "statistics/support/permutation_battery.hpp"

namespace negpipe::test {
namespace {

void expect_bijection(std::uint64_t size) {
  const core::permutation p = core_permutation(size, nightly_seed(), 0);
  std::vector<std::uint64_t> seen(size / 64 + 1, 0);
  for (std::uint64_t x = 0; x < size; ++x) {
    const std::uint64_t y = p(x);
    const std::uint64_t bit = std::uint64_t{1} << (y % 64);
    if (y >= size || (seen[y / 64] & bit) != 0) FAIL() << "size " << size << ": " << x << " goes to " << y;
    seen[y / 64] |= bit;
  }
}

TEST(permutation, is_a_bijection_beside_powers_of_two_up_to_2_to_the_27) {
  for (unsigned k = 23; k <= 27; ++k) {
    for (const std::uint64_t offset : {~0ULL, 0ULL, 1ULL}) expect_bijection((1ULL << k) + offset);
  }
}

TEST(permutation, is_a_bijection_above_2_to_the_32) { expect_bijection((1ULL << 32) + 1); }

}  // namespace
}  // namespace negpipe::test
