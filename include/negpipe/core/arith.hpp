// Integer helpers with the same results on host and device.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe::core {

/// Returns ceil(a / b), b > 0, without overflow.
NEGPIPE_HD constexpr std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }
static_assert(ceil_div(0, 4) == 0 && ceil_div(8, 4) == 2 && ceil_div(9, 4) == 3);

/// Returns the 64-bit product of two 32-bit words.
NEGPIPE_HD constexpr std::uint64_t mul_wide(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint64_t>(a) * b;
}

/// Returns the upper half of the 64-bit product of two 32-bit words: scales the word a to [0, b).
NEGPIPE_HD constexpr std::uint32_t mul_hi(std::uint32_t a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
  // nvcc compiles the plain form to 64-bit multiplications and shifts.
  if (!__builtin_is_constant_evaluated()) return __umulhi(a, b);
#endif
  return static_cast<std::uint32_t>(mul_wide(a, b) >> 32);
}

/// Returns mul_hi(a, b) + c, modulo 2^32.
NEGPIPE_HD constexpr std::uint32_t mul_hi_add(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) {
    std::uint32_t sum = 0;
    asm("mad.hi.u32 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(c));  // one instruction; nvcc emits two
    return sum;
  }
#endif
  return mul_hi(a, b) + c;
}

/// Returns value >> (count mod 32).
NEGPIPE_HD constexpr std::uint32_t shift_down(std::uint32_t value, std::uint32_t count) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) return __funnelshift_r(value, 0, count);  // reduces count mod 32 itself
#endif
  return value >> (count % 32);
}
static_assert(shift_down(6, 33) == 3);

/// A 128-bit product as two halves.
struct product128 {
  std::uint64_t hi;
  std::uint64_t lo;
};

/// Returns the 128-bit product of two 64-bit words, by 32-bit limbs: the same on every compiler.
NEGPIPE_HD constexpr product128 mul_wide64(std::uint64_t a, std::uint64_t b) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) return {__umul64hi(a, b), a * b};
#endif
  const auto a_lo = static_cast<std::uint32_t>(a);
  const auto a_hi = static_cast<std::uint32_t>(a >> 32);
  const auto b_lo = static_cast<std::uint32_t>(b);
  const auto b_hi = static_cast<std::uint32_t>(b >> 32);
  const std::uint64_t low = mul_wide(a_lo, b_lo);
  const std::uint64_t mid1 = mul_wide(a_hi, b_lo) + (low >> 32);  // cannot overflow
  const std::uint64_t mid2 = mul_wide(a_lo, b_hi) + static_cast<std::uint32_t>(mid1);
  return {mul_wide(a_hi, b_hi) + (mid1 >> 32) + (mid2 >> 32), (mid2 << 32) | static_cast<std::uint32_t>(low)};
}
static_assert(mul_wide64(~0ULL, ~0ULL).hi == ~0ULL - 1 && mul_wide64(~0ULL, ~0ULL).lo == 1);
static_assert(mul_wide64(1ULL << 63, 6).hi == 3 && mul_wide64(1ULL << 63, 6).lo == 0);

/// Returns floor(sqrt(n)), bit by bit: exact at perfect squares and powers of two, unlike floating point.
NEGPIPE_HD constexpr std::uint32_t isqrt(std::uint64_t n) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = 1ULL << 31; bit != 0; bit >>= 1) {
    const std::uint64_t next = root | bit;
    if (next * next <= n) root = next;
  }
  return static_cast<std::uint32_t>(root);
}
static_assert(isqrt(0) == 0 && isqrt(3) == 1 && isqrt(4) == 2 && isqrt(~0ULL) == 0xFFFFFFFFU);

/// Returns the number of bits needed to write n; 0 for 0.
NEGPIPE_HD constexpr unsigned bit_width(std::uint64_t n) {
  unsigned width = 0;
  for (unsigned step = 32; step != 0; step >>= 1) {
    if ((n >> step) != 0) {
      n >>= step;
      width += step;
    }
  }
  return width + static_cast<unsigned>(n);
}
static_assert(bit_width(0) == 0 && bit_width(1) == 1 && bit_width(255) == 8 && bit_width(256) == 9);

}  // namespace negpipe::core
