// A set of row numbers, one bit each.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace negpipe::ingest {

/// A set of rows that begins with all of them.
class row_bits {
 public:
  explicit row_bits(std::uint64_t row_count = 0) : words_(row_count / 64 + 1, ~std::uint64_t{0}) {}

  void remove(std::uint64_t row) { words_[row / 64] &= ~(std::uint64_t{1} << (row % 64)); }
  bool contains(std::uint64_t row) const { return (words_[row / 64] >> (row % 64) & 1) != 0; }
  /// Prepares rank().
  void count() {
    below_.clear();
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (i % words_per_count == 0) below_.push_back(sum);
      sum += static_cast<std::uint64_t>(std::popcount(words_[i]));
    }
  }
  /// Returns the number of members below a row. Call count() first.
  std::uint64_t rank(std::uint64_t row) const {
    const std::size_t word = row / 64;
    std::uint64_t sum = below_[word / words_per_count];
    for (std::size_t i = word / words_per_count * words_per_count; i < word; ++i) {
      sum += static_cast<std::uint64_t>(std::popcount(words_[i]));
    }
    return sum + static_cast<std::uint64_t>(std::popcount(words_[word] & ((std::uint64_t{1} << (row % 64)) - 1)));
  }

 private:
  static constexpr std::size_t words_per_count = 8;
  std::vector<std::uint64_t> words_;
  std::vector<std::uint64_t> below_;
};

}  // namespace negpipe::ingest
