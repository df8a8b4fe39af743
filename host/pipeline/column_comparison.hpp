// Helpers of the column checks: comparison of bytes with typed columns, hashes for sums, reusable blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "negpipe/batch.hpp"

namespace negpipe::pipeline {

inline bool equal(std::span<const std::byte> found, std::span<const std::byte> wanted) {
  if (found.size() != wanted.size()) return false;
  return found.empty() || std::memcmp(found.data(), wanted.data(), found.size()) == 0;  // memcmp takes no null pointer
}
template <typename T>
bool equal(std::span<const std::byte> found, std::span<const T> wanted) {
  return equal(found, std::as_bytes(wanted));
}
inline bool equal(std::span<const std::byte> found, const item_view& wanted) {
  return equal(found, std::span(static_cast<const std::byte*>(wanted.data()), wanted.size_bytes()));
}

/// Returns a 64-bit hash. Its sum over a multiset identifies the multiset with high probability. Finalizer of
/// SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014).
inline std::uint64_t mix(std::uint64_t key) {
  key += 0x9E37'79B9'7F4A'7C15U;
  key = (key ^ key >> 30) * 0xBF58'476D'1CE4'E5B9U;
  key = (key ^ key >> 27) * 0x94D0'49BB'1331'11EBU;
  return key ^ key >> 31;
}

/// Calls body with the items as a span of their type.
template <typename Body>
void with_items(const item_view& items, const Body& body) {
  items.type() == item_type::uint16 ? body(items.as_uint16()) : body(items.as_int32());
}

/// Pool of reusable objects. Thread-safe.
template <typename T>
class object_pool {
 public:
  template <typename Make>
  std::unique_ptr<T> take(const Make& make) {
    {
      const std::lock_guard lock(mutex_);
      if (!waiting_.empty()) {
        std::unique_ptr<T> one = std::move(waiting_.back());
        waiting_.pop_back();
        return one;
      }
    }
    return std::make_unique<T>(make());
  }
  void give_back(std::unique_ptr<T> one) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(one));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> waiting_;
};

}  // namespace negpipe::pipeline
