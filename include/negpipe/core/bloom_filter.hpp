// A blocked Bloom filter over all (user, item) positives, read before the sorted rows. The bits of one pair lie in one
// word (Putze, Sanders and Singler, "Cache-, hash- and space-efficient Bloom filters", JEA 2009).
//
// - "Absent" is certain, so one read settles most candidates. "Present" is confirmed by the sorted row, so answers are
//   exact.
// - One filter serves all users and takes two bytes per positive, whatever the number of users and items: 40 MB for
//   MovieLens-20M, where bitsets take 463 MB.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::core {

/// Reads a filter. Non-owning.
struct bloom_filter_view {
  static constexpr std::uint64_t bits_per_pair = 16;

  const std::uint32_t* words;
  std::uint32_t word_count;

  static NEGPIPE_HD constexpr std::uint32_t words_for(std::uint64_t pair_count) {
    const std::uint64_t words = ceil_div(pair_count * bits_per_pair, 32);
    return words < 0xFFFFFFFFU ? static_cast<std::uint32_t>(words) : 0xFFFFFFFFU;
  }

  /// The word of a pair, and its two bits. The bits mix in the item once more: with a single 32-bit hash, several
  /// percent of all pairs would collide with a positive at 200 million positives.
  struct slot {
    std::uint32_t word;
    std::uint32_t bits;  ///< indices of the two bits: bits mod 32 and bits / 32 mod 32

    NEGPIPE_HD constexpr std::uint32_t mask() const { return 1U << bits % 32 | 1U << bits / 32 % 32; }
    /// Returns a word whose lowest bit is 1 if value has both bits, else 0; the other bits are undefined.
    NEGPIPE_HD constexpr std::uint32_t both_in(std::uint32_t value) const {
      return shift_down(value, bits) & shift_down(value, bits / 32);
    }
  };

  static NEGPIPE_HD constexpr slot slot_of(user_id user, std::int32_t item, std::uint32_t word_count) {
    std::uint32_t hash = static_cast<std::uint32_t>(index(user)) * 0x9E3779B1U + static_cast<std::uint32_t>(item);
    hash = (hash ^ hash >> 15) * 0x2C1B3C6DU;
    return {mul_hi(hash, word_count), static_cast<std::uint32_t>(item) * 0x297A2D39U + hash};
  }

  NEGPIPE_HD slot slot_of(user_id user, std::int32_t item) const { return slot_of(user, item, word_count); }
  /// Returns false only for pairs that are not in the filter.
  NEGPIPE_HD bool may_contain(user_id user, std::int32_t item) const {
    const slot at = slot_of(user, item);
    return (at.both_in(words[at.word]) & 1U) != 0;
  }
};

}  // namespace negpipe::core
