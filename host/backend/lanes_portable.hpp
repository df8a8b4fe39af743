// The kernels' vector operations for other machines: vectors of one word. Compilers vectorise the loops over them as
// far as they can.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/philox.hpp"

namespace negpipe {
namespace {

/// permute_digits and random_words take arrays whose lengths are multiples of these.
constexpr std::uint32_t permute_step = 1;
constexpr std::uint32_t random_step = 1;

/// 32-bit words per vector.
constexpr std::uint32_t lane_count = 1;

using lanes = std::uint32_t;
using lane_mask = bool;

inline lanes load(const void* from) { return *static_cast<const std::uint32_t*>(from); }
inline void store(void* to, lanes value) { *static_cast<std::uint32_t*>(to) = value; }
inline lanes all32(std::uint32_t value) { return value; }
inline lanes lane_numbers() { return 0; }
inline lanes bits_xor(lanes a, lanes b) { return a ^ b; }
inline lanes bits_and(lanes a, lanes b) { return a & b; }
inline lanes add(lanes a, lanes b) { return a + b; }
inline lanes subtract(lanes a, lanes b) { return a - b; }
inline lanes product_low(lanes a, lanes b) { return a * b; }
template <unsigned count>
lanes shift_down(lanes value) {
  return value >> count;
}
inline lanes shift_down(lanes value, std::uint32_t count) { return value >> count; }
/// Returns a word whose lowest bit is bit (count mod 32) of the value.
inline lanes rotate_down(lanes value, lanes count) { return core::shift_down(value, count); }

/// Returns both halves of the 64-bit products of words.
struct word_products {
  lanes high;
  lanes low;
};
inline word_products multiply(lanes a, lanes b) { return {core::mul_hi(a, b), a * b}; }
inline lanes product_high(lanes a, lanes b) { return core::mul_hi(a, b); }

inline lane_mask no_lanes() { return false; }
inline lane_mask is_below(lanes a, lanes b) { return a < b; }
inline lane_mask is_odd(lanes value) { return (value & 1U) != 0; }
inline lane_mask either(lane_mask a, lane_mask b) { return a | b; }
inline lane_mask without(lane_mask a, lane_mask b) { return a & !b; }
inline bool any(lane_mask mask) { return mask; }
inline lanes select(lane_mask mask, lanes chosen, lanes other) { return mask ? chosen : other; }

/// Writes the selected words contiguously and returns their number. May write up to lane_count words.
inline std::uint32_t compress(std::uint32_t* to, lanes value, lane_mask mask) {
  *to = value;
  return mask ? 1 : 0;
}
inline void store_halves(std::uint16_t* to, lanes value) { *to = static_cast<std::uint16_t>(value); }
/// Returns whether one of count <= lane_count words is the wanted one. Reads no word past them.
inline bool holds(const std::int32_t* words, std::uint32_t count, std::uint32_t wanted) {
  return count != 0 && static_cast<std::uint32_t>(*words) == wanted;
}
/// Stores bytes: 1 where the mask is set, else 0.
inline void store_flags(std::int8_t* to, lane_mask mask) { *to = mask ? 1 : 0; }

/// 64-bit words, one per 32-bit lane.
using wide_lanes = std::uintptr_t;
/// Returns the addresses of 32-bit words: base + a * stride + b, where a and b are 32-bit words.
inline wide_lanes word_addresses(const void* base, lanes a, std::uint32_t stride, lanes b) {
  return reinterpret_cast<std::uintptr_t>(static_cast<const std::uint32_t*>(base) + core::mul_wide(a, stride) + b);
}
inline wide_lanes word_addresses(const void* base, lanes index) { return word_addresses(base, index, 1, 0); }
inline wide_lanes load_addresses(const std::uint32_t* const* from) { return reinterpret_cast<std::uintptr_t>(*from); }
inline void store_addresses(const std::uint32_t** to, wide_lanes value) {
  *to = reinterpret_cast<const std::uint32_t*>(value);
}
inline wide_lanes select(lane_mask mask, wide_lanes chosen, wide_lanes other) { return mask ? chosen : other; }

/// Returns base[index] and base[index + 1] of 32-bit words.
struct word_pairs {
  lanes first;
  lanes second;
};
inline word_pairs gather_pairs(const std::int32_t* base, lanes index) {
  return {static_cast<lanes>(base[index]), static_cast<lanes>(base[index + 1])};
}
/// Returns the lower halves of base[index].
inline lanes gather_lower_halves(const std::int64_t* base, lanes index) { return static_cast<lanes>(base[index]); }

/// Replaces each pair of digits by its image under one pass of the network. Calls meanwhile() between rounds.
template <typename Meanwhile>
void permute_digits(const core::permutation& order, std::uint32_t* left, std::uint32_t* right, std::uint32_t count,
                    Meanwhile& meanwhile) {
  for (int round = 0; round < order.rounds; round += 2) {
    meanwhile();
    for (std::uint32_t i = 0; i < count; ++i) {
      const core::digits d = core::permutation::double_round({left[i], right[i]}, {order.left_radix, order.right_radix},
                                                             order.word[round], order.word[round + 1]);
      left[i] = d.left;
      right[i] = d.right;
    }
  }
}

/// Sets words[4 * i .. 4 * i + 4) to the block with counter words (word0, word1[i]) and the 64-bit index indices[i].
void random_words(std::uint64_t seed, std::uint32_t word0, const std::uint32_t* word1, const std::uint64_t* indices,
                  std::uint32_t count, std::uint32_t* words) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto low = static_cast<std::uint32_t>(indices[i]);
    const auto block =
        core::philox4x32_10({{word0, word1[i], low, static_cast<std::uint32_t>(indices[i] >> 32)}}, seed);
    for (std::uint32_t k = 0; k < 4; ++k) words[4 * i + k] = block.word[k];
  }
}

}  // namespace
}  // namespace negpipe
