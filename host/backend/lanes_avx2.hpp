// The kernels' vector operations in AVX2. All lanes_*.hpp have the same functions.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "negpipe/core/permutation.hpp"
#include "negpipe/core/philox.hpp"

namespace negpipe {
namespace {

/// permute_digits and random_words take arrays whose lengths are multiples of these.
constexpr std::uint32_t permute_step = 32;
constexpr std::uint32_t random_step = 8;

/// 32-bit words per vector.
constexpr std::uint32_t lane_count = 8;

using lanes = __m256i;

/// A lane has all bits set or none.
struct lane_mask {
  __m256i bits;
};

inline lanes load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
inline void store(void* to, lanes value) { _mm256_storeu_si256(static_cast<__m256i*>(to), value); }
inline lanes all32(std::uint32_t value) { return _mm256_set1_epi32(static_cast<int>(value)); }
inline lanes all64(std::uint64_t value) { return _mm256_set1_epi64x(static_cast<long long>(value)); }
inline lanes lane_numbers() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
inline lanes high(lanes value) { return _mm256_srli_epi64(value, 32); }
inline lanes bits_xor(lanes a, lanes b) { return _mm256_xor_si256(a, b); }
inline lanes bits_and(lanes a, lanes b) { return _mm256_and_si256(a, b); }
inline lanes product(lanes a, lanes b) { return _mm256_mul_epu32(a, b); }
inline lanes xor3(lanes a, lanes b, lanes c) { return bits_xor(bits_xor(a, b), c); }
/// Returns the even lanes of one vector and the odd lanes of another.
inline lanes join(lanes even, lanes odd) { return _mm256_blend_epi32(even, odd, 0b10101010); }
inline lanes lesser(lanes a, lanes b) { return _mm256_min_epu32(a, b); }
inline lanes add64(lanes a, lanes b) { return _mm256_add_epi64(a, b); }
template <unsigned count>
lanes shift_up64(lanes value) {
  return _mm256_slli_epi64(value, count);
}
inline lanes add(lanes a, lanes b) { return _mm256_add_epi32(a, b); }
inline lanes subtract(lanes a, lanes b) { return _mm256_sub_epi32(a, b); }
inline lanes product_low(lanes a, lanes b) { return _mm256_mullo_epi32(a, b); }
template <unsigned count>
lanes shift_down(lanes value) {
  return _mm256_srli_epi32(value, count);
}
inline lanes shift_down(lanes value, std::uint32_t count) {
  return _mm256_srl_epi32(value, _mm_cvtsi32_si128(static_cast<int>(count)));
}
/// Returns words whose lowest bit is bit (count mod 32) of the value.
inline lanes rotate_down(lanes value, lanes count) {
  return _mm256_srlv_epi32(value, _mm256_and_si256(count, all32(31)));
}

inline lane_mask no_lanes() { return {_mm256_setzero_si256()}; }
inline lane_mask is_below(lanes a, lanes b) {  // unsigned: a < b unless max(a, b) == a
  return {_mm256_xor_si256(_mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a), all32(~0U))};
}
inline lane_mask is_odd(lanes value) { return {_mm256_srai_epi32(_mm256_slli_epi32(value, 31), 31)}; }
inline lane_mask either(lane_mask a, lane_mask b) { return {_mm256_or_si256(a.bits, b.bits)}; }
inline lane_mask without(lane_mask a, lane_mask b) { return {_mm256_andnot_si256(b.bits, a.bits)}; }
inline unsigned bit_mask(lane_mask mask) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(mask.bits)));
}
inline bool any(lane_mask mask) { return bit_mask(mask) != 0; }
inline lanes select(lane_mask mask, lanes chosen, lanes other) {
  return _mm256_blendv_epi8(other, chosen, mask.bits);
}

/// Byte k of entry m is the index of the k-th set bit of m. Not a std::array: its functions would be weak symbols that
/// the linker may share.
struct set_bits_table {
  std::uint64_t entry[256];

  static constexpr set_bits_table make() {
    set_bits_table table{};
    for (unsigned mask = 0; mask < 256; ++mask) {
      unsigned found = 0;
      for (std::uint64_t bit = 0; bit < 8; ++bit) {
        if ((mask >> bit & 1U) != 0) table.entry[mask] |= bit << (8 * found++);
      }
    }
    return table;
  }
};
constexpr set_bits_table set_bits = set_bits_table::make();

/// Writes the selected words contiguously and returns their number. May write up to lane_count words.
inline std::uint32_t compress(std::uint32_t* to, lanes value, lane_mask mask) {
  const unsigned bits = bit_mask(mask);
  const lanes order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(set_bits.entry[bits])));
  store(to, _mm256_permutevar8x32_epi32(value, order));
  return static_cast<std::uint32_t>(__builtin_popcount(bits));
}
inline void store_halves(std::uint16_t* to, lanes value) {
  const lanes packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(value, value), 0b1000);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
}
/// Returns whether one of count <= lane_count words is the wanted one. Reads no word past them.
inline bool holds(const std::int32_t* words, std::uint32_t count, std::uint32_t wanted) {
  const lanes first = _mm256_cmpgt_epi32(all32(count), lane_numbers());
  const lanes equal = _mm256_cmpeq_epi32(_mm256_maskload_epi32(words, first), all32(wanted));
  return any({_mm256_and_si256(first, equal)});
}
/// Stores bytes: 1 where the mask is set, else 0.
inline void store_flags(std::int8_t* to, lane_mask mask) {
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(mask.bits), _mm256_extracti128_si256(mask.bits, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_abs_epi8(_mm_packs_epi16(halves, halves)));
}

/// 64-bit words, one per 32-bit lane.
struct wide_lanes {
  lanes front;
  lanes back;
};
inline wide_lanes widen(lanes value) {
  return {_mm256_cvtepu32_epi64(_mm256_castsi256_si128(value)),
          _mm256_cvtepu32_epi64(_mm256_extracti128_si256(value, 1))};
}
inline lanes load_widened(const std::uint32_t* from) {
  return _mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline wide_lanes select(lane_mask mask, wide_lanes chosen, wide_lanes other) {
  const lanes front = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(mask.bits));
  const lanes back = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(mask.bits, 1));
  return {_mm256_blendv_epi8(other.front, chosen.front, front), _mm256_blendv_epi8(other.back, chosen.back, back)};
}

/// Returns base[index] and base[index + 1] of 32-bit words.
struct word_pairs {
  lanes first;
  lanes second;
};
inline word_pairs gather_pairs(const std::int32_t* base, lanes index) {
  const auto* pairs = reinterpret_cast<const long long*>(base);
  const lanes front = _mm256_i32gather_epi64(pairs, _mm256_castsi256_si128(index), 4);
  const lanes back = _mm256_i32gather_epi64(pairs, _mm256_extracti128_si256(index, 1), 4);
  const lanes firsts = _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(front), _mm256_castsi256_ps(back), 0b10001000));
  const lanes seconds = _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(front), _mm256_castsi256_ps(back), 0b11011101));
  return {_mm256_permute4x64_epi64(firsts, 0b11011000), _mm256_permute4x64_epi64(seconds, 0b11011000)};
}
/// Returns the lower halves of base[index].
inline lanes gather_lower_halves(const std::int64_t* base, lanes index) {
  return _mm256_i32gather_epi32(reinterpret_cast<const int*>(base), index, 8);
}

/// Interleaves the 64-bit lanes of front and back.
inline void store_alternating(std::uint32_t* to, lanes front, lanes back) {
  const lanes pairs02 = _mm256_unpacklo_epi64(front, back);
  const lanes pairs13 = _mm256_unpackhi_epi64(front, back);
  store(to, _mm256_permute2x128_si256(pairs02, pairs13, 0x20));
  store(to + lane_count, _mm256_permute2x128_si256(pairs02, pairs13, 0x31));
}

#include "lanes_arithmetic.inl"

}  // namespace
}  // namespace negpipe
