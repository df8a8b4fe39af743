// Users' training positives as a bit matrix: one row of words per user, one bit per item.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::core {

/// Bit (item mod 32) of word (item div 32) of a user's row is 1 if the item is a training positive.
struct bitset_view {
  const std::uint32_t* words;   ///< [user_count * words_per_row]
  std::uint32_t words_per_row;

  static NEGPIPE_HD constexpr std::uint32_t row_words(std::uint32_t item_count) { return (item_count + 31) / 32; }

  NEGPIPE_HD const std::uint32_t* word_of(user_id user, std::int32_t item) const {
    return words + mul_wide(static_cast<std::uint32_t>(index(user)), words_per_row) +
           static_cast<std::uint32_t>(item) / 32;
  }

  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const {
    return (*word_of(user, item) >> (static_cast<std::uint32_t>(item) % 32) & 1U) != 0;
  }
};

}  // namespace negpipe::core
