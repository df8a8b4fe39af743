// The kernels' vector operations in AVX-512 (F, BW, DQ, VL). All lanes_*.hpp have the same functions.
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

/// 32-bit words per vector.
constexpr std::uint32_t lane_count = 16;

using lanes = __m512i;
using lane_mask = __mmask16;

inline lanes load(const void* from) { return _mm512_loadu_si512(from); }
inline void store(void* to, lanes value) { _mm512_storeu_si512(to, value); }
inline lanes all32(std::uint32_t value) { return _mm512_set1_epi32(static_cast<int>(value)); }
inline lanes all64(std::uint64_t value) { return _mm512_set1_epi64(static_cast<long long>(value)); }
inline lanes lane_numbers() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
// GCC 12 warns that the undefined source operand of some intrinsics is uninitialised, hence the zero-masked forms and
// no casts.
inline __m256i lower_half(lanes value) { return __builtin_shufflevector(value, value, 0, 1, 2, 3); }
inline __m256i upper_half(lanes value) { return __builtin_shufflevector(value, value, 4, 5, 6, 7); }
inline lanes high(lanes value) { return _mm512_maskz_srli_epi64(0xFF, value, 32); }
inline lanes product(lanes a, lanes b) { return _mm512_maskz_mul_epu32(0xFF, a, b); }
inline lanes xor3(lanes a, lanes b, lanes c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
inline lanes bits_xor(lanes a, lanes b) { return _mm512_xor_si512(a, b); }
/// Returns the even lanes of one vector and the odd lanes of another.
inline lanes join(lanes even, lanes odd) { return _mm512_mask_blend_epi32(0xAAAA, even, odd); }
inline lanes lesser(lanes a, lanes b) { return _mm512_maskz_min_epu32(0xFFFF, a, b); }
inline lanes add64(lanes a, lanes b) { return _mm512_add_epi64(a, b); }
template <unsigned count>
lanes shift_up64(lanes value) {
  return _mm512_maskz_slli_epi64(0xFF, value, count);
}
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
/// Rotates every word right by the lowest five bits of its count.
inline lanes rotate_down(lanes value, lanes count) { return _mm512_maskz_rorv_epi32(0xFFFF, value, count); }

inline lane_mask no_lanes() { return 0; }
inline lane_mask is_below(lanes a, lanes b) { return _mm512_cmplt_epu32_mask(a, b); }
inline lane_mask is_odd(lanes value) { return _mm512_test_epi32_mask(value, all32(1)); }
inline lane_mask either(lane_mask a, lane_mask b) { return static_cast<lane_mask>(a | b); }
inline lane_mask without(lane_mask a, lane_mask b) { return static_cast<lane_mask>(a & ~b); }
inline bool any(lane_mask mask) { return mask != 0; }
inline lanes select(lane_mask mask, lanes chosen, lanes other) { return _mm512_mask_blend_epi32(mask, other, chosen); }

/// Writes the selected words contiguously and returns their number. May write up to lane_count words. Compresses in a
/// register: compressing to memory is slow microcode on AMD Zen 4.
inline std::uint32_t compress(std::uint32_t* to, lanes value, lane_mask mask) {
  store(to, _mm512_maskz_compress_epi32(mask, value));
  return static_cast<std::uint32_t>(__builtin_popcount(mask));
}
inline void store_halves(std::uint16_t* to, lanes value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_maskz_cvtepi32_epi16(0xFFFF, value));
}
/// Returns whether one of count <= lane_count words is the wanted one. Reads no word past them.
inline bool holds(const std::int32_t* words, std::uint32_t count, std::uint32_t wanted) {
  const auto first = static_cast<lane_mask>((1U << count) - 1);
  return _mm512_mask_cmpeq_epi32_mask(first, _mm512_maskz_loadu_epi32(first, words), all32(wanted)) != 0;
}
/// Stores bytes: 1 where the mask is set, else 0.
inline void store_flags(std::int8_t* to, lane_mask mask) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_maskz_set1_epi8(mask, 1));
}

/// 64-bit words, one per 32-bit lane.
struct wide_lanes {
  lanes front;
  lanes back;
};
inline wide_lanes widen(lanes value) {
  return {_mm512_maskz_cvtepu32_epi64(0xFF, lower_half(value)),
          _mm512_maskz_cvtepu32_epi64(0xFF, upper_half(value))};
}
inline lanes load_widened(const std::uint32_t* from) {
  return _mm512_maskz_cvtepu32_epi64(0xFF, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline wide_lanes select(lane_mask mask, wide_lanes chosen, wide_lanes other) {
  return {_mm512_mask_blend_epi64(static_cast<__mmask8>(mask), other.front, chosen.front),
          _mm512_mask_blend_epi64(static_cast<__mmask8>(mask >> 8), other.back, chosen.back)};
}

/// Returns base[index] and base[index + 1] of 32-bit words.
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
/// Returns the lower halves of base[index].
inline lanes gather_lower_halves(const std::int64_t* base, lanes index) {
  return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xFFFF, index, base, 8);
}

/// Interleaves the 64-bit lanes of front and back.
inline void store_alternating(std::uint32_t* to, lanes front, lanes back) {
  // Indices of 8 and above select lanes of back.
  store(to, _mm512_permutex2var_epi64(front, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), back));
  store(to + lane_count, _mm512_permutex2var_epi64(front, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), back));
}

#include "lanes_arithmetic.inl"

}  // namespace
}  // namespace negpipe
