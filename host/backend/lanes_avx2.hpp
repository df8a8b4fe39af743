// The arithmetic of kernels over arrays, in AVX2 intrinsics: the compiler's own vector code for these loops, full of
// widening multiplications, reaches a fifth of their speed.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "negpipe/core/permutation.hpp"

namespace negpipe {
namespace {

/// permute_digits and random_words take arrays whose lengths are multiples of these.
constexpr std::uint32_t permute_step = 32;
constexpr std::uint32_t random_step = 8;

using lanes = __m256i;

inline lanes load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
inline void store(void* to, lanes value) { _mm256_storeu_si256(static_cast<__m256i*>(to), value); }
inline lanes all32(std::uint32_t value) { return _mm256_set1_epi32(static_cast<int>(value)); }
inline lanes all64(std::uint64_t value) { return _mm256_set1_epi64x(static_cast<long long>(value)); }
inline lanes high(lanes value) { return _mm256_srli_epi64(value, 32); }

// core::permutation::round_function in eight lanes. The multiplier takes every other 32-bit lane: the even lanes as
// they lie, the odd ones moved down.
inline lanes round_function(lanes digit, lanes key, lanes radix) {
  const lanes first = all32(core::philox_multiplier0);
  const lanes second = all32(core::philox_multiplier1);
  const lanes mixed = _mm256_xor_si256(digit, key);
  const lanes even = _mm256_mul_epu32(mixed, first);
  const lanes odd = _mm256_mul_epu32(high(mixed), first);
  const lanes even_folded = _mm256_xor_si256(even, high(even));
  const lanes odd_folded = _mm256_xor_si256(odd, high(odd));
  const lanes even_scaled = _mm256_mul_epu32(_mm256_mul_epu32(even_folded, second), radix);
  const lanes odd_scaled = _mm256_mul_epu32(_mm256_mul_epu32(odd_folded, second), radix);
  return _mm256_blend_epi32(high(even_scaled), odd_scaled, 0b10101010);
}

// (a + b) mod radix for a, b < radix < 2^31: of sum and sum - radix, which wraps when negative, the smaller.
inline lanes add_mod(lanes a, lanes b, lanes radix) {
  const lanes sum = _mm256_add_epi32(a, b);
  return _mm256_min_epu32(sum, _mm256_sub_epi32(sum, radix));
}

/// Replaces each pair of digits by its image under one pass of the network.
void permute_digits(const core::permutation& order, std::uint32_t* left, std::uint32_t* right, std::uint32_t count) {
  constexpr std::uint32_t chains = permute_step / 8;  // independent, to hide the latency of the multiplications
  const lanes left_radix = all32(order.left_radix);
  const lanes right_radix = all32(order.right_radix);
  for (std::uint32_t i = 0; i < count; i += permute_step) {
    lanes a[chains];
    lanes b[chains];
    for (std::uint32_t k = 0; k < chains; ++k) a[k] = load(left + i + 8 * k);
    for (std::uint32_t k = 0; k < chains; ++k) b[k] = load(right + i + 8 * k);
    for (int round = 0; round < order.rounds; round += 2) {
      const lanes key0 = all32(order.word[round]);
      const lanes key1 = all32(order.word[round + 1]);
      for (std::uint32_t k = 0; k < chains; ++k)
        a[k] = add_mod(a[k], round_function(b[k], key0, left_radix), left_radix);
      for (std::uint32_t k = 0; k < chains; ++k) {
        b[k] = add_mod(b[k], round_function(a[k], key1, right_radix), right_radix);
      }
    }
    for (std::uint32_t k = 0; k < chains; ++k) store(left + i + 8 * k, a[k]);
    for (std::uint32_t k = 0; k < chains; ++k) store(right + i + 8 * k, b[k]);
  }
}

/// words[4 * i .. 4 * i + 4) = the block with counter words (word0, word1) and the 64-bit index indices[i].
/// Every counter word has a 64-bit lane, whose upper half the multiplier does not look at and may hold anything.
void random_words(std::uint64_t seed, std::uint32_t word0, std::uint32_t word1, const std::uint64_t* indices,
                  std::uint32_t count, std::uint32_t* words) {
  constexpr std::uint32_t chains = random_step / 4;
  const lanes multiplier0 = all64(core::philox_multiplier0);
  const lanes multiplier1 = all64(core::philox_multiplier1);
  for (std::uint32_t i = 0; i < count; i += random_step) {
    lanes c0[chains];
    lanes c1[chains];
    lanes c2[chains];
    lanes c3[chains];
    for (std::uint32_t k = 0; k < chains; ++k) {
      c0[k] = all64(word0);
      c1[k] = all64(word1);
      c2[k] = load(indices + i + 4 * k);
      c3[k] = high(c2[k]);
    }
    auto key0 = static_cast<std::uint32_t>(seed);
    auto key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < core::philox_rounds; ++round) {
      for (std::uint32_t k = 0; k < chains; ++k) {
        const lanes product0 = _mm256_mul_epu32(c0[k], multiplier0);
        const lanes product1 = _mm256_mul_epu32(c2[k], multiplier1);
        c0[k] = _mm256_xor_si256(_mm256_xor_si256(high(product1), c1[k]), all64(key0));
        c1[k] = product1;
        c2[k] = _mm256_xor_si256(_mm256_xor_si256(high(product0), c3[k]), all64(key1));
        c3[k] = product0;
      }
      key0 += core::philox_key_step0;
      key1 += core::philox_key_step1;
    }
    for (std::uint32_t k = 0; k < chains; ++k) {  // from a lane a word to four words a block
      const lanes front = _mm256_blend_epi32(c0[k], _mm256_slli_epi64(c1[k], 32), 0b10101010);
      const lanes back = _mm256_blend_epi32(c2[k], _mm256_slli_epi64(c3[k], 32), 0b10101010);
      const lanes blocks02 = _mm256_unpacklo_epi64(front, back);
      const lanes blocks13 = _mm256_unpackhi_epi64(front, back);
      store(words + 4 * i + 16 * k, _mm256_permute2x128_si256(blocks02, blocks13, 0x20));
      store(words + 4 * i + 16 * k + 8, _mm256_permute2x128_si256(blocks02, blocks13, 0x31));
    }
  }
}

}  // namespace
}  // namespace negpipe
