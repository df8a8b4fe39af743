// Layout of the words of a random counter: the only code that knows it.
//
//   key   : the 64-bit seed, low half first
//   word 0: cycle                      (32 bits)
//   word 1: tag << 24 | attempt        (6 bits, 24 bits)
//   word 2: index, low half            (32 bits)
//   word 3: index, high half           (32 bits)
//
// Draws that differ in purpose (tag), cycle, index or attempt therefore never share a block. Nothing is ever added to a
// seed: seed 42 of cycle 1 is unrelated to seed 43 of cycle 0. cuRAND reaches the same block by
// curand_init(seed, subsequence = index, offset = 4 * (word1 << 32 | word0)): word 1 has 30 bits so that the offset
// fits 64.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe::core {

/// Raised whenever the bytes of any output change for the same dataset, options and seed.
inline constexpr std::uint32_t stream_version = 1;

/// The purpose of a random block.
enum class tag : std::uint32_t {
  round_keys = 0,        ///< the permutation of a cycle; index 0, attempt = key block
  train_draw = 1,        ///< candidates of training negatives; index = position / 4
  train_fallback = 2,    ///< rank in the complement, training; index = position
  eval_permutation = 3,  ///< the permutation of a user's evaluation negatives; index = user
  eval_draw = 4,         ///< candidates of evaluation negatives; index = element / 4
  eval_fallback = 5,     ///< rank in the complement, evaluation; index = element
  padding = 6,           ///< the point that fills a padding position; index = position
  ties = 7,              ///< order of rows with one user and timestamp; index = row
  synth = 8,             ///< synthetic datasets
  pair_round_keys = 9,   ///< the permutation of a cycle of pairwise rows; index 0, attempt = key block
  pair_draw = 10,        ///< candidates of pairwise negatives; index = (row * K + k) / 4
  pair_fallback = 11,    ///< rank in the complement, pairwise; index = row * K + k
  pair_padding = 12,     ///< the row that fills a padding row; index = row
  free_draw = 13,        ///< candidates of free draws; index = element / 4
  free_fallback = 14,    ///< rank in the complement, free draws; index = element
  free_remaining = 15,   ///< rank outside positives, excluded and earlier items, free draws; index = element
  shared_draw = 16,      ///< candidates of shared draws; index = element / 4
  shared_fallback = 17,  ///< rank among all items, shared draws; index = element
  shared_remaining = 18,  ///< rank outside excluded and earlier items, shared draws; index = element
  eval_remaining = 19,  ///< rank outside positives, held-out and earlier items, evaluation by weight; index = element
};

inline constexpr std::uint32_t attempt_bits = 24;
inline constexpr std::uint32_t max_attempt = (1U << attempt_bits) - 1;

/// A 128-bit counter: the four input words of Philox.
struct counter {
  std::uint32_t word[4];
};

/// Returns the counter of a draw. attempt <= max_attempt.
NEGPIPE_HD constexpr counter make_counter(tag purpose, std::uint32_t cycle, std::uint64_t index,
                                          std::uint32_t attempt) {
  return {{cycle, static_cast<std::uint32_t>(purpose) << attempt_bits | attempt,
           static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)}};
}

}  // namespace negpipe::core
