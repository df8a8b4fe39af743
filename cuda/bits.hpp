// Bit operations with the fewest device instructions. The host versions give the same results.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe::cuda {

NEGPIPE_HD constexpr std::uint32_t lesser(std::uint32_t a, std::uint32_t b) { return a < b ? a : b; }

/// Returns the number of set bits.
NEGPIPE_HD constexpr std::uint32_t count_ones(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) return static_cast<std::uint32_t>(__popc(static_cast<int>(bits)));
#endif
  return static_cast<std::uint32_t>(__builtin_popcount(bits));
}

/// Returns the index of the highest set bit. bits != 0.
NEGPIPE_HD constexpr std::uint32_t highest_bit(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) {
    std::uint32_t index = 0;
    asm("bfind.u32 %0, %1;" : "=r"(index) : "r"(bits));
    return index;
  }
#endif
  return 31U - static_cast<std::uint32_t>(__builtin_clz(bits));
}

/// Returns the lowest count bits of a value. count <= 31.
NEGPIPE_HD constexpr std::uint32_t lowest_bits(std::uint32_t value, std::uint32_t count) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) {
    std::uint32_t bits = 0;
    asm("bfe.u32 %0, %1, 0, %2;" : "=r"(bits) : "r"(value), "r"(count));
    return bits;
  }
#endif
  return value & ((1U << count) - 1);
}
static_assert(lowest_bits(0xFFU, 0) == 0 && lowest_bits(0xFFU, 3) == 7);

/// Returns the lowest count bits of a value, moved to the top, with zeros below. count <= 31.
NEGPIPE_HD constexpr std::uint32_t lowest_on_top(std::uint32_t value, std::uint32_t count) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) return __funnelshift_r(0, value, count);
#endif
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(value) << 32 >> count);
}
static_assert(lowest_on_top(0xFFFFFFFFU, 0) == 0 && lowest_on_top(6, 2) == 0x80000000U);

/// Returns value with the bit at index, which must be 0, set to the lowest bit of bit.
NEGPIPE_HD constexpr std::uint32_t with_bit(std::uint32_t value, std::uint32_t index, std::uint32_t bit) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) {
    std::uint32_t joined = 0;
    asm("bfi.b32 %0, %1, %2, %3, 1;" : "=r"(joined) : "r"(bit), "r"(value), "r"(index));
    return joined;
  }
#endif
  return value | (bit & 1U) << index;
}
static_assert(with_bit(4, 1, 3) == 6);

/// Returns 16-bit half (which mod 4) of two words, counted from the lower half of the first. The upper 16 bits of the
/// result are unspecified.
NEGPIPE_HD constexpr std::uint32_t half_of(std::uint32_t first, std::uint32_t second, std::uint32_t which) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) return __byte_perm(first, second, 0x10 + 0x22 * which);
#endif
  return (which % 4 < 2 ? first : second) >> (which % 2 * 16);
}
static_assert((half_of(0x00020001U, 0x00040003U, 5) & 0xFFFFU) == 2 && half_of(0x00020001U, 0x00040003U, 3) == 4);

/// Returns a word of the lower halves of two words, the first one in the lower half.
NEGPIPE_HD constexpr std::uint32_t join_halves(std::uint32_t first, std::uint32_t second) {
#if defined(__CUDA_ARCH__)
  if (!__builtin_is_constant_evaluated()) return __byte_perm(first, second, 0x5410);
#endif
  return (first & 0xFFFFU) | second << 16;
}
static_assert(join_halves(0x00020001U, 0x00040003U) == 0x00030001U);

}  // namespace negpipe::cuda
