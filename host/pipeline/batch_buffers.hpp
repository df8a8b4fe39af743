// Memory of one batch: typed columns for the sampler, bytes for the encoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "example_encoder.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/sampler.hpp"

namespace negpipe {

/// Columns and item type of a batch.
struct batch_shape {
  std::vector<record::column_spec> columns;
  item_type items;
};

inline batch_shape training_shape(std::uint64_t batch_size, item_type items, bool with_mask) {
  return {record::training_record_columns(batch_size, items, with_mask), items};
}
inline batch_shape pair_shape(std::uint64_t batch_size, std::uint64_t negatives, item_type items, bool with_mask) {
  return {record::pair_record_columns(batch_size, negatives, items, with_mask), items};
}
inline batch_shape evaluation_shape(std::uint64_t batch_size, item_type items) {
  return {record::evaluation_record_columns(batch_size, items), items};
}

/// Columns of one batch in memory of the sampler's backend, reused for many batches. Each is aligned for its type. Not
/// thread-safe.
class batch_buffers {
 public:
  batch_buffers(const batch_shape& shape, const sampler& source) : items_(shape.items) {
    for (const auto& column : shape.columns) {
      storage_.push_back(source.allocate_host(column.byte_count));
      columns_.emplace_back(storage_.back().get(), column.byte_count);
    }
  }

  training_columns training() {
    return {as<std::int32_t>(0), items(1), as<std::int8_t>(2),
            columns_.size() > 3 ? as<std::int8_t>(3) : std::span<std::int8_t>{}};
  }
  pair_columns pairs() {
    return {as<std::int32_t>(0), items(1), items(2),
            columns_.size() > 3 ? as<std::int8_t>(3) : std::span<std::int8_t>{}};
  }
  evaluation_columns evaluation() {
    return {as<std::int32_t>(0), items(1), as<std::int8_t>(2)};
  }
  std::span<const std::span<const std::byte>> columns() const { return columns_; }

 private:
  // The memory is aligned for all fundamental types.
  template <typename T>
  std::span<T> as(std::size_t column) {
    return {reinterpret_cast<T*>(storage_[column].get()), columns_[column].size() / sizeof(T)};
  }
  item_column items(std::size_t column) {
    return {storage_[column].get(), items_, columns_[column].size() / item_bytes(items_)};
  }

  item_type items_;
  std::vector<std::shared_ptr<std::byte[]>> storage_;
  std::vector<std::span<const std::byte>> columns_;
};

}  // namespace negpipe
