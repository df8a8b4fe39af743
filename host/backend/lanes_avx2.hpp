// Vector operations of the kernels in AVX2, and the arithmetic written in them: the compiler's own vector code for
// these loops, full of widening multiplications, reaches a fifth of their speed. The other lanes_*.hpp have the same
// functions.
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

/// Words of 32 bits in a vector.
constexpr std::uint32_t lane_count = 8;

using lanes = __m256i;

/// All bits of a lane are set, or none.
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
/// Words whose lowest bit is bit (count mod 32) of the value.
inline lanes rotate_down(lanes value, lanes count) {
  return _mm256_srlv_epi32(value, _mm256_and_si256(count, all32(31)));
}

/// Both halves of the 64-bit products of words.
struct word_products {
  lanes high;
  lanes low;
};
inline word_products multiply(lanes a, lanes b) {
  const lanes even = _mm256_mul_epu32(a, b);
  const lanes odd = _mm256_mul_epu32(high(a), high(b));
  return {_mm256_blend_epi32(high(even), odd, 0b10101010),
          _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0b10101010)};
}
inline lanes product_high(lanes a, lanes b) { return multiply(a, b).high; }

inline lane_mask no_lanes() { return {_mm256_setzero_si256()}; }
inline lane_mask is_below(lanes a, lanes b) {  // unsigned: a is below b unless it is the greater or equal one
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

/// Byte k of entry m is the number of the k-th bit that is set in m. No std::array: its functions would be left for the
/// linker to share.
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

/// Writes the chosen words side by side and returns their number; may write lane_count words.
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
/// Whether one of count <= lane_count words is the wanted one. Reads no word behind them.
inline bool holds(const std::int32_t* words, std::uint32_t count, std::uint32_t wanted) {
  const lanes first = _mm256_cmpgt_epi32(all32(count), lane_numbers());
  const lanes equal = _mm256_cmpeq_epi32(_mm256_maskload_epi32(words, first), all32(wanted));
  return any({_mm256_and_si256(first, equal)});
}
/// Bytes 1 where the mask is set, else 0.
inline void store_flags(std::int8_t* to, lane_mask mask) {
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(mask.bits), _mm256_extracti128_si256(mask.bits, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_abs_epi8(_mm_packs_epi16(halves, halves)));
}

/// 64-bit words, one for each 32-bit lane.
struct wide_lanes {
  lanes front;
  lanes back;
};
inline wide_lanes widen(lanes value) {
  return {_mm256_cvtepu32_epi64(_mm256_castsi256_si128(value)),
          _mm256_cvtepu32_epi64(_mm256_extracti128_si256(value, 1))};
}
/// Addresses of 32-bit words: base + a * stride + b, where a and b are 32-bit words.
inline wide_lanes word_addresses(const void* base, lanes a, std::uint32_t stride, lanes b) {
  const wide_lanes rows = widen(a);
  const wide_lanes columns = widen(b);
  const lanes steps = all64(stride);
  const lanes origin = all64(reinterpret_cast<std::uintptr_t>(base));
  const auto address = [&](lanes row, lanes column) {
    const lanes index = _mm256_add_epi64(_mm256_mul_epu32(row, steps), column);
    return _mm256_add_epi64(_mm256_slli_epi64(index, 2), origin);
  };
  return {address(rows.front, columns.front), address(rows.back, columns.back)};
}
inline wide_lanes word_addresses(const void* base, lanes index) {
  const wide_lanes at = widen(index);
  const lanes origin = all64(reinterpret_cast<std::uintptr_t>(base));
  return {_mm256_add_epi64(_mm256_slli_epi64(at.front, 2), origin),
          _mm256_add_epi64(_mm256_slli_epi64(at.back, 2), origin)};
}
inline wide_lanes load_addresses(const std::uint32_t* const* from) { return {load(from), load(from + 4)}; }
inline void store_addresses(const std::uint32_t** to, wide_lanes value) {
  store(to, value.front);
  store(to + 4, value.back);
}
inline wide_lanes select(lane_mask mask, wide_lanes chosen, wide_lanes other) {
  const lanes front = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(mask.bits));
  const lanes back = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(mask.bits, 1));
  return {_mm256_blendv_epi8(other.front, chosen.front, front), _mm256_blendv_epi8(other.back, chosen.back, back)};
}

/// base[index] and base[index + 1], of 32-bit words.
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
/// The lower halves of base[index].
inline lanes gather_lower_halves(const std::int64_t* base, lanes index) {
  return _mm256_i32gather_epi32(reinterpret_cast<const int*>(base), index, 8);
}

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

/// Replaces each pair of digits by its image under one pass of the network. Calls meanwhile() between rounds.
template <typename Meanwhile>
void permute_digits(const core::permutation& order, std::uint32_t* left, std::uint32_t* right, std::uint32_t count,
                    Meanwhile& meanwhile) {
  constexpr std::uint32_t chains = permute_step / 8;  // independent, to hide the latency of the multiplications
  const lanes left_radix = all32(order.left_radix);
  const lanes right_radix = all32(order.right_radix);
  for (std::uint32_t i = 0; i < count; i += permute_step) {
    lanes a[chains];
    lanes b[chains];
    for (std::uint32_t k = 0; k < chains; ++k) a[k] = load(left + i + 8 * k);
    for (std::uint32_t k = 0; k < chains; ++k) b[k] = load(right + i + 8 * k);
    for (int round = 0; round < order.rounds; round += 2) {
      meanwhile();
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

/// words[4 * i .. 4 * i + 4) = the block with counter words (word0, word1[i]) and the 64-bit index indices[i].
/// Every counter word has a 64-bit lane, whose upper half the multiplier does not look at and may hold anything.
void random_words(std::uint64_t seed, std::uint32_t word0, const std::uint32_t* word1, const std::uint64_t* indices,
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
      c1[k] = _mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(word1 + i + 4 * k)));
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
