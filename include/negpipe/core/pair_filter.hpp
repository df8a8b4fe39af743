// A filter over all (user, item) pairs in front of the sorted rows: a Bloom filter whose bits for one pair lie in one
// word (Putze, Sanders and Singler, "Cache-, hash- and space-efficient Bloom filters", JEA 2009).
//
// "Absent" is certain and settles most candidates by one read; "present" is asked again of the rows. So the answers,
// and all bytes, are those of the rows. One filter serves all users: no row offsets are read, and it takes two bytes
// a positive whatever the number of users and items (40 MB at MovieLens-20M's shape, where bitsets take 463 MB).
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::core {

/// Reads a filter. Does not own its words.
struct pair_filter_view {
  static constexpr std::uint64_t bits_per_pair = 16;

  const std::uint32_t* words;
  std::uint32_t word_count;

  static NEGPIPE_HD constexpr std::uint32_t words_for(std::uint64_t pair_count) {
    const std::uint64_t words = ceil_div(pair_count * bits_per_pair, 32);
    return words < 0xFFFFFFFFU ? static_cast<std::uint32_t>(words) : 0xFFFFFFFFU;
  }

  /// Where the bits of a pair lie.
  struct place {
    std::uint32_t word;
    std::uint32_t bits;
  };

  static NEGPIPE_HD constexpr place place_of(user_id user, std::int32_t item, std::uint32_t word_count) {
    std::uint32_t hash = static_cast<std::uint32_t>(index(user)) * 0x9E3779B1U + static_cast<std::uint32_t>(item);
    hash = (hash ^ hash >> 15) * 0x2C1B3C6DU;
    const std::uint64_t scaled = mul_wide(hash * 0x297A2D39U, word_count);
    return {static_cast<std::uint32_t>(scaled >> 32), 1U << (hash >> 27) | 1U << (hash >> 22 & 31) };
  }

  NEGPIPE_HD bool may_contain(user_id user, std::int32_t item) const {
    const place at = place_of(user, item, word_count);
    return (words[at.word] & at.bits) == at.bits;
  }
};

}  // namespace negpipe::core
