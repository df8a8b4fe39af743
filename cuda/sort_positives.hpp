// Sorts pairs in any order to rows, with Thrust, on the system of the policy.
#pragma once

#include <thrust/binary_search.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <thrust/sort.h>
#include <thrust/transform.h>
#include <thrust/unique.h>

#include <cstddef>
#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe::cuda {

/// A pair as one key that sorts by user, then by item. A user's held-out pair becomes a key after all others. Ids are
/// not negative.
struct pair_key {
  static constexpr std::uint64_t left_out = ~std::uint64_t{0};
  const std::int32_t* heldout;  ///< [user_count]

  NEGPIPE_HD std::uint64_t operator()(std::int32_t user, std::int32_t item) const {
    if (heldout[user] == item) return left_out;
    return static_cast<std::uint64_t>(user) << 32 | static_cast<std::uint32_t>(item);
  }
};

struct item_of_key {
  NEGPIPE_HD std::int32_t operator()(std::uint64_t key) const {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(key));
  }
};

struct first_key_of_user {
  NEGPIPE_HD std::uint64_t operator()(std::uint64_t user) const { return user << 32; }
};

/// Writes the distinct pairs that are not held out, sorted, as keys [0, result). keys has room for count values.
template <typename Policy>
std::size_t sort_pairs(const Policy& policy, const std::int32_t* users, const std::int32_t* items, std::size_t count,
                       const std::int32_t* heldout, std::uint64_t* keys) {
  thrust::transform(policy, users, users + count, items, keys, pair_key{heldout});
  thrust::sort(policy, keys, keys + count);
  std::uint64_t* const end = thrust::unique(policy, keys, keys + count);
  return static_cast<std::size_t>(thrust::lower_bound(policy, keys, end, pair_key::left_out) - keys);
}

/// Writes the rows of sorted keys: user_offsets [user_count + 1] and items [key_count].
template <typename Policy>
void write_rows(const Policy& policy, const std::uint64_t* keys, std::size_t key_count, std::int32_t user_count,
                std::int64_t* user_offsets, std::int32_t* items) {
  thrust::transform(policy, keys, keys + key_count, items, item_of_key{});
  const auto firsts =
      thrust::make_transform_iterator(thrust::counting_iterator<std::uint64_t>(0), first_key_of_user{});
  thrust::lower_bound(policy, keys, keys + key_count, firsts, firsts + user_count + 1, user_offsets);
}

}  // namespace negpipe::cuda
