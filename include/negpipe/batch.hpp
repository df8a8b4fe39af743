// Typed columns over memory that the caller owns: vectors, NumPy arrays, pinned buffers, device tensors.
//
// Columns are views: trivially copyable and passed by value. They may point to device memory, because these types never
// dereference them. Every fill checks type, length, alignment and memory first.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "negpipe/core/columns.hpp"

namespace negpipe {

/// A writable column of item ids, uint16 or int32.
class item_column {
 public:
  constexpr item_column() = default;
  /// From a span, vector or array of either type.
  template <std::convertible_to<std::span<std::uint16_t>> Range>
  constexpr item_column(Range&& items) : item_column(std::span<std::uint16_t>(items)) {}
  template <std::convertible_to<std::span<std::int32_t>> Range>
  constexpr item_column(Range&& items) : item_column(std::span<std::int32_t>(items)) {}
  constexpr item_column(std::span<std::uint16_t> items)
      : item_column(items.data(), item_type::uint16, items.size()) {}
  constexpr item_column(std::span<std::int32_t> items) : item_column(items.data(), item_type::int32, items.size()) {}
  /// From memory whose type is known at run time. size is in items.
  constexpr item_column(void* data, item_type type, std::size_t size) : data_(data), size_(size), type_(type) {}

  constexpr void* data() const { return data_; }
  constexpr item_type type() const { return type_; }
  constexpr std::size_t size() const { return size_; }
  constexpr std::size_t size_bytes() const { return size_ * item_bytes(type_); }
  constexpr bool empty() const { return size_ == 0; }
  /// Returns items [offset, offset + count) of the same memory. offset + count <= size().
  item_column subspan(std::size_t offset, std::size_t count) const {
    return {static_cast<std::byte*>(data_) + offset * item_bytes(type_), type_, count};
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
  item_type type_ = item_type::uint16;
};

/// A readable column of item ids. Trivially copyable.
class item_view {
 public:
  constexpr item_view() = default;
  constexpr item_view(const item_column& items) : item_view(items.data(), items.type(), items.size()) {}
  constexpr item_view(const void* data, item_type type, std::size_t size) : data_(data), size_(size), type_(type) {}

  constexpr const void* data() const { return data_; }
  constexpr item_type type() const { return type_; }
  constexpr std::size_t size() const { return size_; }
  constexpr std::size_t size_bytes() const { return size_ * item_bytes(type_); }
  /// Returns the first count items. count <= size().
  constexpr item_view first(std::size_t count) const { return {data_, type_, count}; }
  /// Returns item i as an int32 for either type. Host memory only.
  std::int32_t operator[](std::size_t i) const {
    return type_ == item_type::uint16 ? static_cast<const std::uint16_t*>(data_)[i]
                                      : static_cast<const std::int32_t*>(data_)[i];
  }
  /// Return the column as a span of its type. Throw option_error if type() is the other one.
  std::span<const std::uint16_t> as_uint16() const;
  std::span<const std::int32_t> as_int32() const;

 private:
  const void* data_ = nullptr;
  std::size_t size_ = 0;
  item_type type_ = item_type::uint16;
};

/// Output of a range of training points. Each column is aligned to its type and holds at least as many values as the
/// call writes; values past them are not touched.
struct training_columns {
  std::span<std::int32_t> users;
  item_column items;              ///< wide enough for the dataset: see item_type_for
  std::span<std::int8_t> labels;  ///< 1 positive, 0 negative
  std::span<std::int8_t> valid;   ///< valid_point_mask; required by padding_policy::mask, else may be empty
};

/// Output of a range of rows of the pairwise layout. Same requirements as training_columns; items and negatives have
/// one type.
struct pair_columns {
  std::span<std::int32_t> users;
  item_column items;              ///< the positives
  item_column negatives;          ///< K values a row, row-major
  std::span<std::int8_t> valid;   ///< valid_point_mask; required by padding_policy::mask, else may be empty
};

/// Output of a range of evaluation rows. Same requirements as training_columns.
struct evaluation_columns {
  std::span<std::int32_t> users;
  item_column items;
  std::span<std::int8_t> duplicate_mask;  ///< 1 where the item occurred earlier in its row
};

/// A training batch that owns its host memory, as sampler::make_batch returns it. Reusable for many fills.
class training_batch {
 public:
  /// size is in points. Throws std::bad_alloc.
  training_batch(std::size_t size, item_type items, bool with_valid);

  std::size_t size() const { return users_.size(); }
  std::span<const std::int32_t> users() const { return users_; }
  item_view items() const { return {items_.data(), item_type_, size()}; }
  std::span<const std::int8_t> labels() const { return labels_; }  ///< 1 positive, 0 negative
  std::span<const std::int8_t> valid() const { return valid_; }    ///< empty unless the padding is mask
  training_columns columns() { return {users_, {items_.data(), item_type_, size()}, labels_, valid_}; }

 private:
  std::vector<std::int32_t> users_;
  std::vector<std::byte> items_;  // allocated by operator new, so aligned for either type
  std::vector<std::int8_t> labels_;
  std::vector<std::int8_t> valid_;
  item_type item_type_;
};

/// A pairwise batch that owns its host memory, as sampler::make_pair_batch returns it. Reusable for many fills.
class pair_batch {
 public:
  /// size is in rows. Throws std::bad_alloc.
  pair_batch(std::size_t size, std::size_t negatives_per_row, item_type items, bool with_valid);

  std::size_t size() const { return users_.size(); }
  std::span<const std::int32_t> users() const { return users_; }
  item_view items() const { return {items_.data(), item_type_, size()}; }  ///< the positives
  item_view negatives() const { return {negatives_.data(), item_type_, negative_count_}; }  ///< row-major
  std::span<const std::int8_t> valid() const { return valid_; }  ///< empty unless the padding is mask
  pair_columns columns() {
    return {users_, {items_.data(), item_type_, size()}, {negatives_.data(), item_type_, negative_count_}, valid_};
  }

 private:
  std::vector<std::int32_t> users_;
  std::vector<std::byte> items_;
  std::size_t negative_count_;
  std::vector<std::byte> negatives_;
  std::vector<std::int8_t> valid_;
  item_type item_type_;
};

/// An evaluation batch that owns its host memory, as sampler::make_evaluation_batch returns it.
class evaluation_batch {
 public:
  /// size is in values: rows times (1 + negatives). Throws std::bad_alloc.
  evaluation_batch(std::size_t size, item_type items);

  std::size_t size() const { return users_.size(); }
  std::span<const std::int32_t> users() const { return users_; }
  item_view items() const { return {items_.data(), item_type_, size()}; }
  std::span<const std::int8_t> duplicate_mask() const { return duplicate_mask_; }
  evaluation_columns columns() { return {users_, {items_.data(), item_type_, size()}, duplicate_mask_}; }

 private:
  std::vector<std::int32_t> users_;
  std::vector<std::byte> items_;
  std::vector<std::int8_t> duplicate_mask_;
  item_type item_type_;
};

}  // namespace negpipe
