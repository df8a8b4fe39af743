// The duplicate mask of a row, with one bit per item: equals core::is_repeat, without its loop over the row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace negpipe {

/// Reused for many rows by one thread. Takes item_count / 8 bytes.
class repeat_marker {
 public:
  explicit repeat_marker(std::int32_t item_count) : seen_(static_cast<std::size_t>(item_count) / 64 + 1) {}

  /// Sets mask to 1 where the item, in [0, item_count], occurred earlier in the row, else to 0.
  void operator()(std::span<const std::int32_t> row, std::int8_t* mask) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      const auto item = static_cast<std::uint32_t>(row[column]);
      mask[column] = static_cast<std::int8_t>(seen_[item / 64] >> (item % 64) & 1);
      seen_[item / 64] |= 1ULL << (item % 64);
    }
    for (const std::int32_t item : row) seen_[static_cast<std::uint32_t>(item) / 64] = 0;
  }

 private:
  std::vector<std::uint64_t> seen_;  // all zeros between rows
};

}  // namespace negpipe
