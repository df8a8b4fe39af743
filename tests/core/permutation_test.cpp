// The keyed permutation is a bijection with an inverse at every size, and its cycle walks are short.
#include "negpipe/core/permutation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "statistics/support/permutation_mutants.hpp"

namespace negpipe::core {
namespace {

permutation make(std::uint64_t size, std::uint64_t seed = 42, std::uint32_t cycle = 0, std::uint64_t index = 0) {
  return permutation::make(size, philox_source{seed}, tag::round_keys, cycle, index);
}

/// Returns whether a function maps [0, size) one-to-one onto itself.
template <typename Image>
testing::AssertionResult is_bijection(std::uint64_t size, const Image& image) {
  std::vector<std::uint64_t> seen(size / 64 + 1, 0);
  for (std::uint64_t x = 0; x < size; ++x) {
    const std::uint64_t y = image(x);
    if (y >= size) return testing::AssertionFailure() << "size " << size << ": " << x << " goes to " << y;
    const std::uint64_t bit = std::uint64_t{1} << (y % 64);
    if ((seen[y / 64] & bit) != 0) return testing::AssertionFailure() << "size " << size << ": " << y << " comes twice";
    seen[y / 64] |= bit;
  }
  return testing::AssertionSuccess();
}

void expect_bijection(std::uint64_t size, std::uint64_t seed) {
  const permutation p = make(size, seed);
  ASSERT_TRUE(is_bijection(size, p)) << "seed " << seed;
  for (std::uint64_t x = 0; x < size; ++x) ASSERT_EQ(p.inverse(p(x)), x) << "size " << size << ", seed " << seed;
}

TEST(permutation, is_a_bijection_at_all_small_sizes) {
  for (std::uint64_t size = 1; size <= 1100; ++size) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) expect_bijection(size, seed);
  }
}

TEST(permutation, is_a_bijection_around_powers_of_two_squares_and_thresholds) {
  for (unsigned k = 10; k <= 20; ++k) {
    for (const std::uint64_t offset : {~0ULL, 0ULL, 1ULL}) expect_bijection((1ULL << k) + offset, k);
  }
  for (const std::uint64_t root : {33ULL, 100ULL, 255ULL, 257ULL, 1000ULL}) {
    for (const std::uint64_t offset : {~0ULL, 0ULL, 1ULL}) expect_bijection(root * root + offset, root);
    expect_bijection(root * (root + 1), root);
  }
  for (const std::uint64_t prime : {1021ULL, 4099ULL, 65521ULL, 65537ULL, 1'000'003ULL}) expect_bijection(prime, prime);
}

TEST(permutation, is_a_bijection_at_2_to_the_21_and_22) {
  for (const unsigned k : {21U, 22U}) {
    for (const std::uint64_t offset : {~0ULL, 0ULL, 1ULL}) expect_bijection((1ULL << k) + offset, 1);
  }
}

// A point takes about 25 ns, so all three neighbours of each power up to 2^27 would take 20 s. This test takes the one
// with the most cycle walking, up to 2^26. The others, and 2^32 + 1, are nightly; sanitizer builds test one size.
TEST(permutation, is_a_bijection_above_powers_of_two_up_to_2_to_the_26) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr unsigned largest = 23;
#else
  constexpr unsigned largest = 26;
#endif
  for (unsigned k = 23; k <= largest; ++k) EXPECT_TRUE(is_bijection((1ULL << k) + 1, make((1ULL << k) + 1, 1)));
}

TEST(permutation, check_rejects_a_function_that_is_not_a_bijection) {
  namespace mutants = negpipe::test::mutants;
  for (const std::uint64_t size : {65ULL, 127ULL, 1025ULL, 65'537ULL, 1'000'003ULL}) {
    EXPECT_FALSE(is_bijection(size, mutants::folded{make(size)})) << "size " << size;
  }
  EXPECT_FALSE(is_bijection(100, [](std::uint64_t x) { return x + 1; })) << "the last value lies past the end";
  EXPECT_FALSE(is_bijection(100, [](std::uint64_t x) { return x == 57 ? 3 : x; }));
  EXPECT_TRUE(is_bijection(100, [](std::uint64_t x) { return 99 - x; }));
}

TEST(permutation, has_an_inverse_at_sizes_too_large_to_enumerate) {
  std::mt19937_64 generator(1);
  std::vector<std::uint64_t> sizes = {permutation::max_size, permutation::max_size - 1, 1'000'000'007, 100'000'000'000};
  for (unsigned k = 23; k <= 60; ++k) {
    for (const std::uint64_t offset : {~0ULL, 0ULL, 1ULL}) sizes.push_back((1ULL << k) + offset);
  }
  for (const std::uint64_t root : {65535ULL, 65536ULL, 65537ULL, 1'000'003ULL, 1'518'500'249ULL}) {
    for (const std::uint64_t offset : {~0ULL, 0ULL, 1ULL}) sizes.push_back(root * root + offset);
  }
  for (const std::uint64_t size : sizes) {
    const permutation p = make(size, generator());
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t x = i == 0 ? 0 : i == 1 ? size - 1 : generator() % size;
      const std::uint64_t y = p(x);
      ASSERT_LT(y, size);
      ASSERT_EQ(p.inverse(y), x) << "size " << size;
      ASSERT_EQ(p(p.inverse(x)), x) << "size " << size;
    }
  }
}

TEST(permutation, digits_are_near_square_even_and_below_2_to_the_31) {
  for (const std::uint64_t size : std::initializer_list<std::uint64_t>{65, 80, 81, 1024, 65537, 1ULL << 32,
                                                                       (1ULL << 32) + 1, permutation::max_size}) {
    const permutation p = make(size);
    EXPECT_EQ(p.left_radix % 2, 0U) << size;
    EXPECT_LT(p.left_radix, 1U << 31);
    EXPECT_LT(p.right_radix, 1U << 31);
    const std::uint64_t domain = static_cast<std::uint64_t>(p.left_radix) * p.right_radix;
    EXPECT_GE(domain, size);
    EXPECT_LT(domain - size, p.left_radix) << size;
    EXPECT_LE(p.right_radix, p.left_radix + 5) << size;
    EXPECT_EQ(p.join(p.split(size - 1)), size - 1);
  }
}

TEST(permutation, different_keys_give_different_permutations) {
  for (const std::uint64_t size : {20ULL, 64ULL, 65ULL, 5000ULL, 100'000ULL}) {
    const permutation one = make(size);
    const permutation others[] = {make(size, 43),
                                  make(size, 42ULL | 1ULL << 63),
                                  make(size, 42, 1),
                                  make(size, 42, 0, 1),
                                  make(size, 42, 0, 1ULL << 32),
                                  permutation::make(size, philox_source{42}, tag::eval_permutation, 0, 0)};
    for (const permutation& other : others) {
      std::uint64_t same = 0;
      for (std::uint64_t x = 0; x < size; ++x) same += one(x) == other(x);
      EXPECT_LT(same, 9U) << "size " << size;  // Poisson(1): 1e-6 for 9 or more
    }
  }
}

/// Returns the number of passes of the network for the image of x.
int passes(const permutation& p, std::uint64_t x) {
  int count = 0;
  do {
    x = p.join(p.forward(p.split(x)));
    ++count;
  } while (x >= p.size);
  return count;
}

/// Returns whether the walks over [0, p.size) have a small mean and maximum.
testing::AssertionResult walks_briefly(const permutation& p) {
  std::uint64_t total = 0;
  int longest = 0;
  for (std::uint64_t x = 0; x < p.size; ++x) {
    const int count = passes(p, x);
    total += static_cast<std::uint64_t>(count);
    longest = std::max(longest, count);
  }
  const auto size = static_cast<double>(p.size);
  const double mean = static_cast<double>(total) / size;
  const auto complaint = [&] {
    return testing::AssertionFailure() << "size " << p.size << ", mean " << mean << ", longest " << longest << ": ";
  };
  const auto outside = static_cast<double>(static_cast<std::uint64_t>(p.left_radix) * p.right_radix - p.size);
  if (outside / size >= 1 / std::sqrt(size) + 1e-9) return complaint() << outside << " values lie past the end";
  // At most one walk passes over each value past the end, so this bound on the mean is certain.
  if (mean > 1 + 1 / std::sqrt(size)) return complaint() << "the mean is too large";
  // A walk of length L has probability (outside / domain)^(L - 1) at each of `size` starts.
  const double miss = std::max(outside / (size + outside), 1e-9);
  if (longest > 2 + std::log(1e6 * size) / -std::log(miss)) return complaint() << "the longest walk is too long";
  return testing::AssertionSuccess();
}

TEST(permutation, walks_rarely_and_briefly) {
  for (const std::uint64_t size : {65ULL, 79ULL, 127ULL, 128ULL, 129ULL, 1023ULL, 1025ULL, 4097ULL, 65537ULL, 99'999ULL,
                                   262'143ULL, 262'145ULL, 1'048'577ULL}) {
    EXPECT_TRUE(walks_briefly(make(size)));
  }
}

TEST(permutation, check_rejects_walks_over_a_power_of_two) {
  for (const std::uint64_t size : {65ULL, 129ULL, 1025ULL, 99'999ULL, 1'048'577ULL}) {
    const permutation wide = negpipe::test::mutants::over_a_power_of_two(make(size));
    ASSERT_TRUE(is_bijection(size, wide)) << "only its cost is wrong";
    EXPECT_FALSE(walks_briefly(wide)) << "size " << size;
  }
  // Also detected by the number of passes alone, independent of the radices.
  std::uint64_t total = 0;
  const permutation wide = negpipe::test::mutants::over_a_power_of_two(make(1'048'577));
  for (std::uint64_t x = 0; x < wide.size; ++x) total += static_cast<std::uint64_t>(passes(wide, x));
  EXPECT_GT(total, 2 * wide.size - 10'000);
}

TEST(permutation, walks_briefly_past_2_to_the_32) {
  for (const std::uint64_t size : {(1ULL << 32) + 1, (1ULL << 40) + 1, (1ULL << 60) + 1}) {
    const permutation p = make(size);
    std::mt19937_64 generator(1);
    int longest = 0;
    for (int i = 0; i < 100'000; ++i) longest = std::max(longest, passes(p, generator() % size));
    EXPECT_LE(longest, 2) << size;
  }
}

}  // namespace
}  // namespace negpipe::core
