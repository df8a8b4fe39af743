// Columns made by core's functions, one value at a time, in buffers that detect stray writes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "negpipe/batch.hpp"
#include "negpipe/core/duplicate_mask.hpp"
#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/pairwise.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::test {

/// Bytes between two guards.
class guarded_bytes {
 public:
  explicit guarded_bytes(std::uint64_t size) : bytes_(guard + size + guard, filler) {}

  std::byte* data() { return bytes_.data() + guard; }
  std::uint64_t size() const { return bytes_.size() - 2 * guard; }
  template <typename T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(data()), size() / sizeof(T)};
  }
  void assign(const guarded_bytes& from, std::uint64_t begin) {
    std::memcpy(data(), from.bytes_.data() + guard + begin, size());
  }

  /// Returns "" or the first difference; a changed byte beside the column counts as one.
  std::string difference(const std::string& column, const guarded_bytes& wanted, std::uint64_t value_bytes) const {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      if (bytes_[i] == wanted.bytes_[i]) continue;
      const auto offset = static_cast<std::int64_t>(i) - static_cast<std::int64_t>(guard);
      return column + " differs at value " + std::to_string(offset / static_cast<std::int64_t>(value_bytes)) +
             " (byte " + std::to_string(offset) + "): found " + std::to_string(std::to_integer<int>(bytes_[i])) +
             ", wanted " + std::to_string(std::to_integer<int>(wanted.bytes_[i])) + "; ";
    }
    return "";
  }

 private:
  static constexpr std::size_t guard = 64;
  static constexpr std::byte filler{0xA5};
  std::vector<std::byte> bytes_;
};

/// Columns of training points.
class point_buffer {
 public:
  point_buffer(std::uint64_t count, item_type width, bool masked)
      : width_(width),
        masked_(masked),
        users_(count * sizeof(std::int32_t)),
        items_(count * item_bytes(width)),
        labels_(count),
        valid_(masked ? count : 0) {}

  training_columns columns() {
    return {users_.as<std::int32_t>(), {items_.data(), width_, items_.size() / item_bytes(width_)},
            labels_.as<std::int8_t>(), masked_ ? valid_.as<std::int8_t>() : std::span<std::int8_t>{}};
  }

  std::string first_difference(const point_buffer& wanted) const {
    return users_.difference("user", wanted.users_, sizeof(std::int32_t)) +
           items_.difference("item", wanted.items_, item_bytes(width_)) +
           labels_.difference("label", wanted.labels_, 1) + valid_.difference("valid", wanted.valid_, 1);
  }

  point_buffer part(std::uint64_t first, std::uint64_t count) const {
    point_buffer copy(count, width_, masked_);
    copy.users_.assign(users_, first * sizeof(std::int32_t));
    copy.items_.assign(items_, first * item_bytes(width_));
    copy.labels_.assign(labels_, first);
    if (masked_) copy.valid_.assign(valid_, first);
    return copy;
  }

 private:
  item_type width_;
  bool masked_;
  guarded_bytes users_;
  guarded_bytes items_;
  guarded_bytes labels_;
  guarded_bytes valid_;
};

/// Columns of rows of the pairwise layout.
class pair_buffer {
 public:
  pair_buffer(std::uint64_t rows, std::uint64_t negatives_per_row, item_type width, bool masked)
      : width_(width),
        masked_(masked),
        negatives_per_row_(negatives_per_row),
        users_(rows * sizeof(std::int32_t)),
        items_(rows * item_bytes(width)),
        negatives_(rows * negatives_per_row * item_bytes(width)),
        valid_(masked ? rows : 0) {}

  pair_columns columns() {
    return {users_.as<std::int32_t>(), column_of(items_), column_of(negatives_),
            masked_ ? valid_.as<std::int8_t>() : std::span<std::int8_t>{}};
  }

  std::string first_difference(const pair_buffer& wanted) const {
    return users_.difference("user", wanted.users_, sizeof(std::int32_t)) +
           items_.difference("item", wanted.items_, item_bytes(width_)) +
           negatives_.difference("negative", wanted.negatives_, item_bytes(width_)) +
           valid_.difference("valid", wanted.valid_, 1);
  }

  pair_buffer part(std::uint64_t first, std::uint64_t rows) const {
    pair_buffer copy(rows, negatives_per_row_, width_, masked_);
    copy.users_.assign(users_, first * sizeof(std::int32_t));
    copy.items_.assign(items_, first * item_bytes(width_));
    copy.negatives_.assign(negatives_, first * negatives_per_row_ * item_bytes(width_));
    if (masked_) copy.valid_.assign(valid_, first);
    return copy;
  }

 private:
  item_column column_of(guarded_bytes& bytes) const {
    return {bytes.data(), width_, bytes.size() / item_bytes(width_)};
  }

  item_type width_;
  bool masked_;
  std::uint64_t negatives_per_row_;
  guarded_bytes users_;
  guarded_bytes items_;
  guarded_bytes negatives_;
  guarded_bytes valid_;
};

/// Columns of evaluation rows.
class row_buffer {
 public:
  row_buffer(std::uint64_t count, item_type width)
      : width_(width), users_(count * sizeof(std::int32_t)), items_(count * item_bytes(width)), mask_(count) {}

  evaluation_columns columns() {
    return {users_.as<std::int32_t>(), {items_.data(), width_, items_.size() / item_bytes(width_)},
            mask_.as<std::int8_t>()};
  }

  std::string first_difference(const row_buffer& wanted) const {
    return users_.difference("user", wanted.users_, sizeof(std::int32_t)) +
           items_.difference("item", wanted.items_, item_bytes(width_)) +
           mask_.difference("duplicate_mask", wanted.mask_, 1);
  }

 private:
  item_type width_;
  guarded_bytes users_;
  guarded_bytes items_;
  guarded_bytes mask_;
};

inline void put_item(const item_column& items, std::uint64_t offset, std::int32_t item) {
  if (items.type() == item_type::uint16) {
    static_cast<std::uint16_t*>(items.data())[offset] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(items.data())[offset] = item;
  }
}

inline void write_reference_points(const core::training_plan& plan, const core::cycle_key& key,
                                   const core::positives_view& view, std::uint64_t first, std::uint64_t count,
                                   const training_columns& out) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const core::point made = core::point_at(plan, key, view, first + i, core::philox_source{plan.seed});
    out.users[i] = index(made.user);
    put_item(out.items, i, index(made.item));
    out.labels[i] = made.label;
    if (!out.valid.empty()) out.valid[i] = made.valid;
  }
}

inline void write_reference_pairs(const core::training_plan& plan, const core::cycle_key& key,
                                  const core::positives_view& view, std::uint64_t first, std::uint64_t count,
                                  const pair_columns& out) {
  const core::philox_source source{plan.seed};
  for (std::uint64_t i = 0; i < count; ++i) {
    const core::pair_row made = core::pair_at(plan, key, view, first + i, source);
    out.users[i] = index(made.user);
    put_item(out.items, i, index(made.item));
    if (!out.valid.empty()) out.valid[i] = made.valid;
    for (std::uint32_t k = 0; k < plan.negatives; ++k) {
      put_item(out.negatives, i * plan.negatives + k,
               index(core::pair_negative(plan, key, view, made, k, source)));
    }
  }
}

inline void write_reference_rows(const core::evaluation_plan& plan, const core::positives_view& view,
                                 std::uint64_t first_row, std::uint64_t row_count, const evaluation_columns& out) {
  const auto length = static_cast<std::uint32_t>(plan.row_length());
  std::vector<std::int32_t> row(length);
  for (std::uint64_t i = 0; i < row_count; ++i) {
    const bool is_padding = !is_evaluated(plan, view, first_row + i);
    const user_id user{is_padding ? 0 : static_cast<std::int32_t>(first_row + i)};
    std::fill(row.begin(), row.end(), 0);
    if (!is_padding) core::write_row(plan, view, user, core::philox_source{plan.seed}, row.data());
    for (std::uint32_t column = 0; column < length; ++column) {
      const std::uint64_t offset = i * length + column;
      out.users[offset] = is_padding ? 0 : static_cast<std::int32_t>(plan.first_user + first_row + i);
      put_item(out.items, offset, row[column]);
      out.duplicate_mask[offset] = core::is_repeat(row.data(), column);
    }
  }
}

}  // namespace negpipe::test
