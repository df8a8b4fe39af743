// The duplicate mask of an evaluation row: 1 where an item stood earlier in its row.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe::core {

/// The rule itself, for one column: O(column). The backends find the same by sorting or by stamps.
template <typename Item>
NEGPIPE_HD constexpr std::int8_t is_repeat(const Item* row, std::uint32_t column) {
  for (std::uint32_t earlier = 0; earlier < column; ++earlier) {
    if (row[earlier] == row[column]) return 1;
  }
  return 0;
}

}  // namespace negpipe::core
