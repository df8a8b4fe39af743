// The set of items of one row after another.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace negpipe {

/// A hash set of items that is emptied in constant time. Open addressing with linear probing.
class seen_items {
 public:
  /// capacity: items between two calls of clear().
  explicit seen_items(std::uint64_t capacity)
      : slots_(std::bit_ceil(2 * capacity + 2), 0), mask_(slots_.size() - 1) {}

  void clear() { stamp_ += 1; }

  /// Returns whether the item is new.
  bool insert(std::int32_t item) {
    std::uint64_t& slot = slots_[find(item)];
    if (slot == entry(item)) return false;
    slot = entry(item);
    return true;
  }

  bool contains(std::int32_t item) const { return slots_[find(item)] == entry(item); }

 private:
  std::uint64_t entry(std::int32_t item) const { return stamp_ << 32 | static_cast<std::uint32_t>(item); }

  // Returns the slot of the item, or the first free one: one with an older stamp.
  std::uint64_t find(std::int32_t item) const {
    std::uint64_t at = static_cast<std::uint32_t>(item) * 0x9E3779B97F4A7C15ULL >> 32 & mask_;
    while (slots_[at] != entry(item) && slots_[at] >> 32 == stamp_) at = (at + 1) & mask_;
    return at;
  }

  std::vector<std::uint64_t> slots_;  // stamp, item; stamp 0 is never current
  std::uint64_t mask_;
  std::uint64_t stamp_ = 0;  // below 2^32: a piece has fewer rows
};

}  // namespace negpipe
