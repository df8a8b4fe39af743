// The duplicate mask of an evaluation row: 1 where the item occurred earlier in the row.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe::core {

/// Defines the mask for one column, in O(column). Backends compute the same by sorting or with a bitset.
template <typename Item>
NEGPIPE_HD constexpr std::int8_t is_repeat(const Item* row, std::uint32_t column) {
  for (std::uint32_t earlier = 0; earlier < column; ++earlier) {
    if (row[earlier] == row[column]) return 1;
  }
  return 0;
}

}  // namespace negpipe::core
