// The arithmetic of kernels over arrays, as loops that any compiler vectorises as well as it can.
#pragma once

#include <cstdint>

#include "negpipe/core/permutation.hpp"
#include "negpipe/core/philox.hpp"

namespace negpipe {
namespace {

/// permute_digits and random_words take arrays whose lengths are multiples of these.
constexpr std::uint32_t permute_step = 1;
constexpr std::uint32_t random_step = 1;

/// Replaces each pair of digits by its image under one pass of the network.
void permute_digits(const core::permutation& order, std::uint32_t* left, std::uint32_t* right, std::uint32_t count) {
  for (int round = 0; round < order.rounds; round += 2) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const core::digits d = core::permutation::double_round({left[i], right[i]}, {order.left_radix, order.right_radix},
                                                             order.word[round], order.word[round + 1]);
      left[i] = d.left;
      right[i] = d.right;
    }
  }
}

/// words[4 * i .. 4 * i + 4) = the block with counter words (word0, word1) and the 64-bit index indices[i].
void random_words(std::uint64_t seed, std::uint32_t word0, std::uint32_t word1, const std::uint64_t* indices,
                  std::uint32_t count, std::uint32_t* words) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto block = core::philox4x32_10(
        {{word0, word1, static_cast<std::uint32_t>(indices[i]), static_cast<std::uint32_t>(indices[i] >> 32)}}, seed);
    for (std::uint32_t k = 0; k < 4; ++k) words[4 * i + k] = block.word[k];
  }
}

}  // namespace
}  // namespace negpipe
