// Columns of points in memory that the caller owns: NumPy arrays, pinned buffers, device tensors.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe {

/// The width of the item column: uint16 up to 65,536 items, as the format of 2018 has it, else int32.
enum class item_type : std::uint8_t { uint16, int32 };

constexpr item_type item_type_for(std::int32_t item_count) {
  return item_count <= 65'536 ? item_type::uint16 : item_type::int32;
}
NEGPIPE_HD constexpr std::uint64_t item_bytes(item_type type) { return type == item_type::uint16 ? 2 : 4; }

/// Where a range of training points goes. Each column has room for as many values as are asked for and is aligned
/// to its type; all are host memory, or all are memory of the backend's device.
struct training_columns {
  std::int32_t* users;
  void* items;             ///< uint16 or int32, as item_width says
  item_type item_width;
  std::int8_t* labels;     ///< 1 positive, 0 negative
  std::int8_t* valid;      ///< valid_point_mask; null unless the padding policy is mask
};

/// Where a range of evaluation rows goes, likewise.
struct evaluation_columns {
  std::int32_t* users;
  void* items;
  item_type item_width;
  std::int8_t* duplicate_mask;  ///< 1 where an item stood earlier in its row
};

}  // namespace negpipe
