// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
// as 1, 2, 3" (SC 2011). Tests compare it with the published vectors, Random123 and cuRAND's host generator.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/hd.hpp"

namespace negpipe::core {

/// 128 random bits.
struct random_block {
  std::uint32_t word[4];

  /// word[i mod 4] by selection: a run-time index would move the words to memory.
  NEGPIPE_HD constexpr std::uint32_t any(std::uint64_t i) const {
    const std::uint32_t low = (i & 1U) == 0 ? word[0] : word[1];
    const std::uint32_t high = (i & 1U) == 0 ? word[2] : word[3];
    return (i & 2U) == 0 ? low : high;
  }
};

inline constexpr int philox_rounds = 10;
inline constexpr std::uint32_t philox_multiplier0 = 0xD2511F53U;
inline constexpr std::uint32_t philox_multiplier1 = 0xCD9E8D57U;
/// Added to the halves of the key after each round.
inline constexpr std::uint32_t philox_key_step0 = 0x9E3779B9U;
inline constexpr std::uint32_t philox_key_step1 = 0xBB67AE85U;

/// Returns the block of a counter under a key. Pure function.
NEGPIPE_HD constexpr random_block philox4x32_10(counter c, std::uint64_t key) {
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < philox_rounds; ++round) {
    const std::uint64_t p0 = mul_wide(philox_multiplier0, c.word[0]);
    const std::uint64_t p1 = mul_wide(philox_multiplier1, c.word[2]);
    c = {{static_cast<std::uint32_t>(p1 >> 32) ^ c.word[1] ^ key0, static_cast<std::uint32_t>(p1),
          static_cast<std::uint32_t>(p0 >> 32) ^ c.word[3] ^ key1, static_cast<std::uint32_t>(p0)}};
    key0 += philox_key_step0;
    key1 += philox_key_step1;
  }
  return {{c.word[0], c.word[1], c.word[2], c.word[3]}};
}

/// The source of random blocks for the core's draws. A device backend may use its own type with the same members and
/// results.
struct philox_source {
  std::uint64_t seed;

  NEGPIPE_HD constexpr random_block operator()(counter c) const { return philox4x32_10(c, seed); }
};

}  // namespace negpipe::core
