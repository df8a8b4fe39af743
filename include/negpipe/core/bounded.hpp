// Unbiased integers in [0, n) from random words: Lemire, "Fast random integer generation in an interval"
// (ACM TOMACS 2019). A word is accepted, and then every value is equally likely, or it is rejected, and the caller
// tries the next word. No modulo bias, no floating point.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/hd.hpp"

namespace negpipe::core {

/// Draws from [0, n), 0 < n < 2^32, with a precomputed rejection threshold.
struct bounded32 {
  std::uint32_t n;
  std::uint32_t threshold;  ///< 2^32 mod n: products whose low half is below it are rejected

  static NEGPIPE_HD constexpr bounded32 make(std::uint32_t n) { return {n, (0U - n) % n}; }

  /// Returns whether the word is accepted. value receives the draw; it is always written and always below n.
  NEGPIPE_HD constexpr bool operator()(std::uint32_t word, std::uint32_t& value) const {
    value = mul_hi(word, n);
    return low_half(word) >= threshold;
  }

  /// Returns the number that is compared with the threshold: the word is rejected if it is below.
  NEGPIPE_HD constexpr std::uint32_t low_half(std::uint32_t word) const { return word * n; }
};

/// Draws from [0, n), 0 < n < 2^64, with a precomputed rejection threshold.
struct bounded64 {
  std::uint64_t n;
  std::uint64_t threshold;  ///< 2^64 mod n

  static NEGPIPE_HD constexpr bounded64 make(std::uint64_t n) { return {n, (0ULL - n) % n}; }

  NEGPIPE_HD constexpr bool operator()(std::uint64_t word, std::uint64_t& value) const {
    const product128 product = mul_wide64(word, n);
    value = product.hi;
    return product.lo >= threshold;
  }
};

}  // namespace negpipe::core
