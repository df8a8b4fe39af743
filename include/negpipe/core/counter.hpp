// The one place where the words of a random counter are laid out.
//
//   key   : the 64-bit seed, low half first
//   word 0: cycle                      (32 bits)
//   word 1: tag << 24 | attempt        (6 bits, 24 bits)
//   word 2: index, low half            (32 bits)
//   word 3: index, high half           (32 bits)
//
// Two draws that differ in purpose (tag), cycle, index or attempt therefore never share a block, and nothing
// is ever added to a seed: seed 42 of cycle 1 has nothing to do with seed 43 of cycle 0. cuRAND reaches the
// same block by curand_init(seed, subsequence = index, offset = 4 * (word1 << 32 | word0)): word 1 has 30 bits
// so that the offset fits into its 64.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe::core {

/// Raised whenever the bytes of any output change for the same dataset, options and seed.
inline constexpr std::uint32_t stream_version = 1;

/// What a random block is for.
enum class tag : std::uint32_t {
  round_keys = 0,        ///< the permutation of a cycle; index 0, attempt = key block
  train_draw = 1,        ///< candidates of training negatives; index = position / 4
  train_fallback = 2,    ///< rank in the complement, training; index = position
  eval_permutation = 3,  ///< the permutation of a user's evaluation negatives; index = user
  eval_draw = 4,         ///< candidates of evaluation negatives; index = element / 4
  eval_fallback = 5,     ///< rank in the complement, evaluation; index = element
  padding = 6,           ///< which point fills a padding position; index = position
  ties = 7,              ///< order of rows of one user and second; index = row
  synth = 8,             ///< synthetic datasets
};

inline constexpr std::uint32_t attempt_bits = 24;
inline constexpr std::uint32_t max_attempt = (1U << attempt_bits) - 1;

/// A 128-bit counter: four words, as Philox takes them.
struct counter {
  std::uint32_t word[4];
};

/// Lays out a counter. attempt must be at most max_attempt.
NEGPIPE_HD constexpr counter make_counter(tag purpose, std::uint32_t cycle, std::uint64_t index,
                                          std::uint32_t attempt) {
  return {{cycle, static_cast<std::uint32_t>(purpose) << attempt_bits | attempt,
           static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)}};
}

}  // namespace negpipe::core
