// Division by an invariant integer as a multiplication: Granlund and Montgomery, "Division by invariant integers using
// multiplication" (PLDI 1994). Dividends are one bit shorter than the word, so that the reciprocal fits the word.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/hd.hpp"

namespace negpipe::core {

/// Divides x < 2^63 by a divisor in [1, 2^63].
struct divider64 {
  std::uint64_t divisor;
  std::uint64_t magic;  ///< ceil(2^(63 + shift) / divisor)
  std::uint32_t shift;  ///< ceil(log2(divisor))

  static NEGPIPE_HD constexpr divider64 make(std::uint64_t divisor) {
    const std::uint32_t shift = bit_width(divisor - 1);
    // Long division of 2^(63 + shift), bit by bit. The divisor is at most 2^63, so the remainder does not overflow.
    std::uint64_t quotient = 0;
    std::uint64_t remainder = 0;
    for (int bit = static_cast<int>(63 + shift); bit >= 0; --bit) {
      remainder = remainder << 1 | (bit == static_cast<int>(63 + shift) ? 1U : 0U);
      quotient <<= 1;
      if (remainder >= divisor) {
        remainder -= divisor;
        quotient |= 1;
      }
    }
    return {divisor, quotient + (remainder != 0 ? 1 : 0), shift};
  }

  NEGPIPE_HD constexpr std::uint64_t operator()(std::uint64_t x) const {
    return mul_wide64(magic, x << 1).hi >> shift;
  }
};

/// Divides x < 2^31 by a divisor in [2, 2^31], with the smallest exact shift: 0 for 3 and 6.
struct divider32 {
  std::uint32_t magic;  ///< ceil(2^(32 + shift) / divisor)
  std::uint32_t shift;

  static NEGPIPE_HD constexpr divider32 make(std::uint32_t divisor) {
    for (std::uint32_t shift = 0;; ++shift) {
      const std::uint64_t power = 1ULL << (32 + shift);
      const std::uint64_t magic = ceil_div(power, divisor);
      // x * magic / power exceeds x / divisor by x * excess / (power * divisor), which must stay below 1 / divisor.
      const std::uint64_t excess = magic * divisor - power;
      if (excess <= 2ULL << shift) return {static_cast<std::uint32_t>(magic), shift};
    }
  }

  NEGPIPE_HD constexpr std::uint32_t operator()(std::uint32_t x) const { return mul_hi(magic, x) >> shift; }
};

/// The divider for a word width. Code that works with both needs divisors of at least 2.
template <typename Word>
struct divider_of;
template <>
struct divider_of<std::uint32_t> {
  using type = divider32;
};
template <>
struct divider_of<std::uint64_t> {
  using type = divider64;
};
template <typename Word>
using divider = typename divider_of<Word>::type;

static_assert(divider64::make(1)(12345) == 12345 && divider64::make(7)(48) == 6);
static_assert(divider64::make(1ULL << 40)((1ULL << 63) - 1) == (1ULL << 23) - 1);
static_assert(divider32::make(2)(0x7FFFFFFFU) == 0x3FFFFFFFU && divider32::make(10)(99) == 9);
static_assert(divider32::make(3).shift == 0 && divider32::make(6).shift == 0);

}  // namespace negpipe::core
