// Vector operations of the kernels in AVX-512 (F, BW, DQ, VL), and the arithmetic that is written in them. The other
// lanes_*.hpp have the same functions.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "negpipe/core/permutation.hpp"
#include "negpipe/core/philox.hpp"

namespace negpipe {
namespace {

/// permute_digits and random_words take arrays whose lengths are multiples of these.
constexpr std::uint32_t permute_step = 64;
constexpr std::uint32_t random_step = 16;

/// Words of 32 bits in a vector.
constexpr std::uint32_t lane_count = 16;

using lanes = __m512i;
using lane_mask = __mmask16;

constexpr __mmask16 odd_lanes = 0xAAAA;

inline lanes load(const void* from) { return _mm512_loadu_si512(from); }
inline void store(void* to, lanes value) { _mm512_storeu_si512(to, value); }
inline lanes all32(std::uint32_t value) { return _mm512_set1_epi32(static_cast<int>(value)); }
inline lanes all64(std::uint64_t value) { return _mm512_set1_epi64(static_cast<long long>(value)); }
inline lanes lane_numbers() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
// GCC 12 warns of the plain forms of some intrinsics, whose undefined source it takes for an uninitialised variable:
// hence the zero-masked ones.
// GCC 12's casts are among the forms that it warns of.
inline __m256i lower_half(lanes value) { return __builtin_shufflevector(value, value, 0, 1, 2, 3); }
inline __m256i upper_half(lanes value) { return __builtin_shufflevector(value, value, 4, 5, 6, 7); }
inline lanes high(lanes value) { return _mm512_maskz_srli_epi64(0xFF, value, 32); }
inline lanes product(lanes a, lanes b) { return _mm512_maskz_mul_epu32(0xFF, a, b); }
inline lanes xor3(lanes a, lanes b, lanes c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
inline lanes bits_xor(lanes a, lanes b) { return _mm512_xor_si512(a, b); }
inline lanes add(lanes a, lanes b) { return _mm512_add_epi32(a, b); }
inline lanes subtract(lanes a, lanes b) { return _mm512_sub_epi32(a, b); }
inline lanes bits_and(lanes a, lanes b) { return _mm512_and_si512(a, b); }
inline lanes product_low(lanes a, lanes b) { return _mm512_mullo_epi32(a, b); }
template <unsigned count>
lanes shift_down(lanes value) {
  return _mm512_maskz_srli_epi32(0xFFFF, value, count);
}
inline lanes shift_down(lanes value, std::uint32_t count) {
  return _mm512_maskz_srl_epi32(0xFFFF, value, _mm_cvtsi32_si128(static_cast<int>(count)));
}
/// Every word rotated right by the lowest five bits of its count.
inline lanes rotate_down(lanes value, lanes count) { return _mm512_maskz_rorv_epi32(0xFFFF, value, count); }

/// Both halves of the 64-bit products of words.
struct word_products {
  lanes high;
  lanes low;
};
inline word_products multiply(lanes a, lanes b) {
  const lanes even = product(a, b);
  const lanes odd = product(high(a), high(b));
  return {_mm512_mask_blend_epi32(odd_lanes, high(even), odd),
          _mm512_mask_blend_epi32(odd_lanes, even, _mm512_maskz_slli_epi64(0xFF, odd, 32))};
}
inline lanes product_high(lanes a, lanes b) {
  return _mm512_mask_blend_epi32(odd_lanes, high(product(a, b)), product(high(a), high(b)));
}

inline lane_mask no_lanes() { return 0; }
inline lane_mask is_below(lanes a, lanes b) { return _mm512_cmplt_epu32_mask(a, b); }
inline lane_mask is_odd(lanes value) { return _mm512_test_epi32_mask(value, all32(1)); }
inline lane_mask either(lane_mask a, lane_mask b) { return static_cast<lane_mask>(a | b); }
inline lane_mask without(lane_mask a, lane_mask b) { return static_cast<lane_mask>(a & ~b); }
inline bool any(lane_mask mask) { return mask != 0; }
inline lanes select(lane_mask mask, lanes chosen, lanes other) { return _mm512_mask_blend_epi32(mask, other, chosen); }

/// Writes the chosen words side by side and returns their number; may write lane_count words. Compresses in a register:
/// compressing to memory is microcode on AMD's Zen 4.
inline std::uint32_t compress(std::uint32_t* to, lanes value, lane_mask mask) {
  store(to, _mm512_maskz_compress_epi32(mask, value));
  return static_cast<std::uint32_t>(__builtin_popcount(mask));
}
inline void store_halves(std::uint16_t* to, lanes value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_maskz_cvtepi32_epi16(0xFFFF, value));
}
/// Whether one of count <= lane_count words is the wanted one. Reads no word behind them.
inline bool holds(const std::int32_t* words, std::uint32_t count, std::uint32_t wanted) {
  const auto first = static_cast<lane_mask>((1U << count) - 1);
  return _mm512_mask_cmpeq_epi32_mask(first, _mm512_maskz_loadu_epi32(first, words), all32(wanted)) != 0;
}
/// Bytes 1 where the mask is set, else 0.
inline void store_flags(std::int8_t* to, lane_mask mask) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_maskz_set1_epi8(mask, 1));
}

/// 64-bit words, one for each 32-bit lane.
struct wide_lanes {
  lanes front;
  lanes back;
};
inline wide_lanes widen(lanes value) {
  return {_mm512_maskz_cvtepu32_epi64(0xFF, lower_half(value)),
          _mm512_maskz_cvtepu32_epi64(0xFF, upper_half(value))};
}
/// Addresses of 32-bit words: base + a * stride + b, where a and b are 32-bit words.
inline wide_lanes word_addresses(const void* base, lanes a, std::uint32_t stride, lanes b) {
  const wide_lanes rows = widen(a);
  const wide_lanes columns = widen(b);
  const lanes steps = all64(stride);
  const lanes origin = all64(reinterpret_cast<std::uintptr_t>(base));
  const auto address = [&](lanes row, lanes column) {
    return _mm512_add_epi64(
        _mm512_maskz_slli_epi64(0xFF, _mm512_add_epi64(product(row, steps), column), 2), origin);
  };
  return {address(rows.front, columns.front), address(rows.back, columns.back)};
}
inline wide_lanes word_addresses(const void* base, lanes index) {
  const wide_lanes at = widen(index);
  const lanes origin = all64(reinterpret_cast<std::uintptr_t>(base));
  return {_mm512_add_epi64(_mm512_maskz_slli_epi64(0xFF, at.front, 2), origin),
          _mm512_add_epi64(_mm512_maskz_slli_epi64(0xFF, at.back, 2), origin)};
}
inline wide_lanes load_addresses(const std::uint32_t* const* from) { return {load(from), load(from + 8)}; }
inline void store_addresses(const std::uint32_t** to, wide_lanes value) {
  store(to, value.front);
  store(to + 8, value.back);
}
inline wide_lanes select(lane_mask mask, wide_lanes chosen, wide_lanes other) {
  return {_mm512_mask_blend_epi64(static_cast<__mmask8>(mask), other.front, chosen.front),
          _mm512_mask_blend_epi64(static_cast<__mmask8>(mask >> 8), other.back, chosen.back)};
}

/// base[index] and base[index + 1], of 32-bit words.
struct word_pairs {
  lanes first;
  lanes second;
};
inline word_pairs gather_pairs(const std::int32_t* base, lanes index) {
  const lanes front = _mm512_mask_i32gather_epi64(_mm512_setzero_si512(), 0xFF, lower_half(index), base, 4);
  const lanes back = _mm512_mask_i32gather_epi64(_mm512_setzero_si512(), 0xFF, upper_half(index), base, 4);
  const lanes evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return {_mm512_permutex2var_epi32(front, evens, back),
          _mm512_permutex2var_epi32(front, _mm512_add_epi32(evens, all32(1)), back)};
}
/// The lower halves of base[index].
inline lanes gather_lower_halves(const std::int64_t* base, lanes index) {
  return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xFFFF, index, base, 8);
}

// core::permutation::round_function in sixteen lanes. The multiplier takes every other 32-bit lane: the even lanes as
// they lie, the odd ones moved down.
inline lanes round_function(lanes digit, lanes key, lanes radix) {
  const lanes first = all32(core::philox_multiplier0);
  const lanes second = all32(core::philox_multiplier1);
  const lanes mixed = _mm512_xor_si512(digit, key);
  const lanes even = product(mixed, first);
  const lanes odd = product(high(mixed), first);
  const lanes even_folded = _mm512_xor_si512(even, high(even));
  const lanes odd_folded = _mm512_xor_si512(odd, high(odd));
  const lanes even_scaled = product(product(even_folded, second), radix);
  const lanes odd_scaled = product(product(odd_folded, second), radix);
  return _mm512_mask_blend_epi32(odd_lanes, high(even_scaled), odd_scaled);
}

// (a + b) mod radix for a, b < radix < 2^31: of sum and sum - radix, which wraps when negative, the smaller.
inline lanes add_mod(lanes a, lanes b, lanes radix) {
  const lanes sum = _mm512_add_epi32(a, b);
  return _mm512_maskz_min_epu32(0xFFFF, sum, _mm512_sub_epi32(sum, radix));
}

/// Replaces each pair of digits by its image under one pass of the network. Calls meanwhile() between rounds.
template <typename Meanwhile>
void permute_digits(const core::permutation& order, std::uint32_t* left, std::uint32_t* right, std::uint32_t count,
                    Meanwhile& meanwhile) {
  constexpr std::uint32_t chains = permute_step / 16;  // independent, to hide the latency of the multiplications
  const lanes left_radix = all32(order.left_radix);
  const lanes right_radix = all32(order.right_radix);
  for (std::uint32_t i = 0; i < count; i += permute_step) {
    lanes a[chains];
    lanes b[chains];
    for (std::uint32_t k = 0; k < chains; ++k) a[k] = load(left + i + 16 * k);
    for (std::uint32_t k = 0; k < chains; ++k) b[k] = load(right + i + 16 * k);
    for (int round = 0; round < order.rounds; round += 2) {
      meanwhile();
      const lanes key0 = all32(order.word[round]);
      const lanes key1 = all32(order.word[round + 1]);
      for (std::uint32_t k = 0; k < chains; ++k) {
        a[k] = add_mod(a[k], round_function(b[k], key0, left_radix), left_radix);
      }
      for (std::uint32_t k = 0; k < chains; ++k) {
        b[k] = add_mod(b[k], round_function(a[k], key1, right_radix), right_radix);
      }
    }
    for (std::uint32_t k = 0; k < chains; ++k) store(left + i + 16 * k, a[k]);
    for (std::uint32_t k = 0; k < chains; ++k) store(right + i + 16 * k, b[k]);
  }
}

/// words[4 * i .. 4 * i + 4) = the block with counter words (word0, word1[i]) and the 64-bit index indices[i].
/// Every counter word has a 64-bit lane, whose upper half the multiplier does not look at and may hold anything.
void random_words(std::uint64_t seed, std::uint32_t word0, const std::uint32_t* word1, const std::uint64_t* indices,
                  std::uint32_t count, std::uint32_t* words) {
  constexpr std::uint32_t chains = random_step / 8;
  const lanes multiplier0 = all64(core::philox_multiplier0);
  const lanes multiplier1 = all64(core::philox_multiplier1);
  const lanes first_halves = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);  // 8 and above: of the second operand
  const lanes second_halves = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  for (std::uint32_t i = 0; i < count; i += random_step) {
    lanes c0[chains];
    lanes c1[chains];
    lanes c2[chains];
    lanes c3[chains];
    for (std::uint32_t k = 0; k < chains; ++k) {
      c0[k] = all64(word0);
      c1[k] = _mm512_maskz_cvtepu32_epi64(
          0xFF, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(word1 + i + 8 * k)));
      c2[k] = load(indices + i + 8 * k);
      c3[k] = high(c2[k]);
    }
    auto key0 = static_cast<std::uint32_t>(seed);
    auto key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < core::philox_rounds; ++round) {
      for (std::uint32_t k = 0; k < chains; ++k) {
        const lanes product0 = product(c0[k], multiplier0);
        const lanes product1 = product(c2[k], multiplier1);
        c0[k] = xor3(high(product1), c1[k], all64(key0));
        c1[k] = product1;
        c2[k] = xor3(high(product0), c3[k], all64(key1));
        c3[k] = product0;
      }
      key0 += core::philox_key_step0;
      key1 += core::philox_key_step1;
    }
    for (std::uint32_t k = 0; k < chains; ++k) {  // from a lane a word to four words a block
      const lanes front = _mm512_mask_blend_epi32(odd_lanes, c0[k], _mm512_maskz_slli_epi64(0xFF, c1[k], 32));
      const lanes back = _mm512_mask_blend_epi32(odd_lanes, c2[k], _mm512_maskz_slli_epi64(0xFF, c3[k], 32));
      store(words + 4 * i + 32 * k, _mm512_permutex2var_epi64(front, first_halves, back));
      store(words + 4 * i + 32 * k + 16, _mm512_permutex2var_epi64(front, second_halves, back));
    }
  }
}

}  // namespace
}  // namespace negpipe
