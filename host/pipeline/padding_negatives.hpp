// Checks that each negative of resampled padding, or each row if pairwise, occurs in the cycle.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

namespace negpipe::pipeline {

inline std::uint64_t pair_key(std::int32_t user, std::int32_t item) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(user)) << 32 | static_cast<std::uint32_t>(item);
}

/// Set of the keys of padding, each with a flag for whether a point of the cycle has it.
class padding_negatives {
 public:
  /// Sets the keys. Must be called once, before see().
  void collect(std::vector<std::uint64_t> keys) {
    keys_ = std::move(keys);
    std::ranges::sort(keys_);
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
    seen_ = std::vector<std::atomic<bool>>(keys_.size());
    filter_.assign(filter_bits / 64, 0);
    for (const std::uint64_t key : keys_) filter_[slot(key) / 64] |= std::uint64_t{1} << (slot(key) % 64);
  }

  bool empty() const { return keys_.empty(); }

  /// Marks the key of a negative that is not padding. Thread-safe.
  void see(std::uint64_t key) {
    if (keys_.empty() || (filter_[slot(key) / 64] >> (slot(key) % 64) & 1) == 0) return;
    const auto found = std::ranges::lower_bound(keys_, key);
    if (found == keys_.end() || *found != key) return;
    seen_[static_cast<std::size_t>(found - keys_.begin())].store(true, std::memory_order_relaxed);
  }

  /// Calls missing(key) for each key that was not seen.
  template <typename Missing>
  void for_each_missing(Missing missing) const {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (!seen_[i].load(std::memory_order_relaxed)) missing(keys_[i]);
    }
  }

 private:
  // Few points of a cycle are repeated in padding. A bitmap that fits the second-level cache rejects the others.
  static constexpr unsigned filter_width = 21;
  static constexpr std::uint64_t filter_bits = std::uint64_t{1} << filter_width;
  static std::uint64_t slot(std::uint64_t key) { return key * 0x9E37'79B9'7F4A'7C15U >> (64 - filter_width); }

  std::vector<std::uint64_t> keys_;
  std::vector<std::atomic<bool>> seen_;
  std::vector<std::uint64_t> filter_;
};

}  // namespace negpipe::pipeline
