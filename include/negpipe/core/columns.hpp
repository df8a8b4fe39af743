// Columns as kernels write them: plain, checked pointers. Callers pass the typed columns of negpipe/batch.hpp.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe {

/// The type of an item column: uint16 up to 65,536 items, as in the 2018 format, else int32.
enum class item_type : std::uint8_t { uint16, int32 };

constexpr item_type item_type_for(std::int32_t item_count) {
  return item_count <= 65'536 ? item_type::uint16 : item_type::int32;
}
NEGPIPE_HD constexpr std::uint64_t item_bytes(item_type type) { return type == item_type::uint16 ? 2 : 4; }

namespace core {

/// Unchecked training_columns: aligned to their types, with room for all values written.
struct training_pointers {
  std::int32_t* users;
  void* items;           ///< uint16 or int32, see item_width
  item_type item_width;
  std::int8_t* labels;
  std::int8_t* valid;    ///< not written if null
};

/// Unchecked pair_columns.
struct pair_pointers {
  std::int32_t* users;
  void* items;           ///< the positives; uint16 or int32, see item_width
  void* negatives;       ///< row-major, the type of items
  item_type item_width;
  std::int8_t* valid;    ///< not written if null
};

/// Unchecked evaluation_columns.
struct evaluation_pointers {
  std::int32_t* users;
  void* items;
  item_type item_width;
  std::int8_t* duplicate_mask;
};

}  // namespace core
}  // namespace negpipe
