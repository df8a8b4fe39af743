#include "negpipe/batch.hpp"

#include "negpipe/error.hpp"

namespace negpipe {

std::span<const std::uint16_t> item_view::as_uint16() const {
  if (type_ != item_type::uint16) throw option_error("the column items is of type int32, not uint16; read as_int32()");
  return {static_cast<const std::uint16_t*>(data_), size_};
}

std::span<const std::int32_t> item_view::as_int32() const {
  if (type_ != item_type::int32) throw option_error("the column items is of type uint16, not int32; read as_uint16()");
  return {static_cast<const std::int32_t*>(data_), size_};
}

training_batch::training_batch(std::size_t size, item_type items, bool with_valid)
    : users_(size), items_(size * item_bytes(items)), labels_(size), valid_(with_valid ? size : 0), item_type_(items) {}

pair_batch::pair_batch(std::size_t size, std::size_t negatives_per_row, item_type items, bool with_valid)
    : users_(size),
      items_(size * item_bytes(items)),
      negative_count_(size * negatives_per_row),
      negatives_(negative_count_ * item_bytes(items)),
      valid_(with_valid ? size : 0),
      item_type_(items) {}

evaluation_batch::evaluation_batch(std::size_t size, item_type items)
    : users_(size), items_(size * item_bytes(items)), duplicate_mask_(size), item_type_(items) {}

}  // namespace negpipe
