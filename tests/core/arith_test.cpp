// Integer helpers against 128-bit arithmetic and the compiler's own division.
#include "negpipe/core/arith.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <vector>

#include "negpipe/core/divide.hpp"

namespace negpipe::core {
namespace {

__extension__ using uint128 = unsigned __int128;

/// 0, 1, 2; 2^k - 1, 2^k, 2^k + 1 below the limit; and some numbers in between.
std::vector<std::uint64_t> edges(std::uint64_t limit) {
  std::vector<std::uint64_t> values = {0, limit};
  for (int k = 0; k < 64; ++k) {
    for (const std::uint64_t offset : {~0ULL, 0ULL, 1ULL}) {
      const std::uint64_t value = (1ULL << k) + offset;
      if (value <= limit) values.push_back(value);
    }
  }
  std::mt19937_64 generator(1);
  for (int i = 0; i < 500; ++i) {
    const std::uint64_t value = generator() >> (generator() % 64);
    if (value <= limit) values.push_back(value);
  }
  return values;
}

TEST(arith, products_equal_128_bit_arithmetic) {
  const auto values = edges(~0ULL);
  for (const std::uint64_t a : values) {
    for (const std::uint64_t b : values) {
      const product128 found = mul_wide64(a, b);
      const uint128 wanted = static_cast<uint128>(a) * b;
      ASSERT_EQ(found.hi, static_cast<std::uint64_t>(wanted >> 64)) << a << " * " << b;
      ASSERT_EQ(found.lo, static_cast<std::uint64_t>(wanted)) << a << " * " << b;
    }
  }
}

TEST(arith, roots_are_exact_at_and_around_squares) {
  for (std::uint64_t root = 1; root <= 0xFFFFFFFFULL; root += 1 + root / 1000) {
    ASSERT_EQ(isqrt(root * root), root);
    ASSERT_EQ(isqrt(root * root - 1), root - 1);
    ASSERT_EQ(isqrt(root * root + 2 * root), root);
  }
  for (const std::uint64_t n : edges(~0ULL)) {
    const uint128 root = isqrt(n);
    ASSERT_LE(root * root, n);
    ASSERT_GT((root + 1) * (root + 1), n);
  }
}

TEST(arith, bit_width_is_exact_at_powers_of_two) {
  for (const std::uint64_t n : edges(~0ULL)) ASSERT_EQ(bit_width(n), static_cast<unsigned>(std::bit_width(n))) << n;
}

TEST(arith, ceil_div_does_not_overflow) {
  EXPECT_EQ(ceil_div(~0ULL, 1), ~0ULL);
  EXPECT_EQ(ceil_div(~0ULL, 2), 1ULL << 63);
  EXPECT_EQ(ceil_div(~0ULL, ~0ULL), 1U);
  EXPECT_EQ(ceil_div(1, ~0ULL), 1U);
  EXPECT_EQ(ceil_div(0, 7), 0U);
}

/// Dividends at which a wrong reciprocal fails first: just below, at and just above the multiples of the divisor
/// nearest to the end of the range.
template <typename Divider, typename Word>
void expect_exact(Word divisor, Word largest) {
  const auto divide = Divider::make(divisor);
  const Word last_multiple = largest / divisor * divisor;
  for (const Word multiple : {divisor, static_cast<Word>(last_multiple - divisor), last_multiple}) {
    for (const Word offset : {Word{0}, Word{1}, static_cast<Word>(~Word{0})}) {
      const auto x = static_cast<Word>(multiple + offset);
      if (x > largest) continue;
      ASSERT_EQ(divide(x), x / divisor) << x << " / " << divisor;
    }
  }
  for (const std::uint64_t x : edges(largest)) {
    ASSERT_EQ(divide(static_cast<Word>(x)), x / divisor) << x << " / " << divisor;
  }
}

TEST(divide, divider64_is_exact_on_63_bits) {
  for (const std::uint64_t divisor : edges(1ULL << 63)) {
    if (divisor != 0) expect_exact<divider64, std::uint64_t>(divisor, (1ULL << 63) - 1);
  }
}

TEST(divide, divider32_is_exact_on_31_bits) {
  for (const std::uint64_t divisor : edges(1ULL << 31)) {
    if (divisor >= 2) expect_exact<divider32, std::uint32_t>(static_cast<std::uint32_t>(divisor), (1U << 31) - 1);
  }
  for (std::uint32_t divisor = 2; divisor < 300; ++divisor) {
    const auto divide = divider32::make(divisor);
    for (std::uint32_t x = 0; x < 70'000; ++x) ASSERT_EQ(divide(x), x / divisor);
  }
  for (std::uint32_t divisor = 2; divisor < 70'000; ++divisor) {
    expect_exact<divider32, std::uint32_t>(divisor, (1U << 31) - 1);
  }
}

}  // namespace
}  // namespace negpipe::core
