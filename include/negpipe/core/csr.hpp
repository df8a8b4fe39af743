// Users' training positives as compressed sparse rows (CSR): the items of each user, ascending and distinct.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::core {

/// One user's training positives: items[0 .. count), ascending, distinct.
struct item_row {
  const std::int32_t* items;
  std::uint32_t count;

  /// Returns the number of items in the row that are below the given one: its index in the row.
  NEGPIPE_HD std::uint32_t count_below(std::int32_t item) const {
    std::uint32_t low = 0;
    std::uint32_t length = count;
    while (length != 0) {
      const std::uint32_t half = length / 2;
      if (items[low + half] < item) {
        low += half + 1;
        length -= half + 1;
      } else {
        length = half;
      }
    }
    return low;
  }

  NEGPIPE_HD bool contains(std::int32_t item) const {
    const std::uint32_t slot = count_below(item);
    return slot < count && items[slot] == item;
  }

  /// Returns the rank-th item (from 0) that is not in the row. items[k] - k absent items lie below items[k].
  NEGPIPE_HD std::int32_t kth_absent(std::uint32_t rank) const {
    std::uint32_t low = 0;
    std::uint32_t length = count;
    while (length != 0) {
      const std::uint32_t half = length / 2;
      const std::uint32_t slot = low + half;
      if (static_cast<std::uint32_t>(items[slot]) - slot <= rank) {
        low = slot + 1;
        length -= half + 1;
      } else {
        length = half;
      }
    }
    return static_cast<std::int32_t>(rank + low);
  }
};

/// All rows, and the map from a positive's index back to its user. Non-owning.
struct csr_view {
  /// The user of every 2^sample_shift-th positive is stored; the others are found by a search between two samples.
  static constexpr unsigned sample_shift = 5;

  const std::int64_t* user_offsets;   ///< [user_count + 1]
  const std::int32_t* positive_items; ///< [positive_count], each row ascending
  const std::int32_t* user_samples;   ///< [ceil(positive_count / 2^sample_shift) + 1], see sample_count()

  /// Length of user_samples: entry s is the user of positive s << sample_shift, the last one user_count - 1.
  static NEGPIPE_HD constexpr std::uint64_t sample_count(std::uint64_t positive_count) {
    return ((positive_count + (1U << sample_shift) - 1) >> sample_shift) + 1;
  }

  NEGPIPE_HD item_row row(user_id user) const {
    const std::int64_t begin = user_offsets[index(user)];
    return {positive_items + begin, static_cast<std::uint32_t>(user_offsets[index(user) + 1] - begin)};
  }

  /// Returns the index of the user's first positive.
  NEGPIPE_HD std::uint64_t row_start(user_id user) const {
    return static_cast<std::uint64_t>(user_offsets[index(user)]);
  }

  /// Returns the user of positive p: the last one whose row begins at or before p.
  NEGPIPE_HD user_id user_of(std::uint64_t p) const {
    return user_id{last_user_at(user_offsets, user_samples[p >> sample_shift],
                                user_samples[(p >> sample_shift) + 1], p)};
  }

  /// Returns the last user in [low, high] whose row begins at or before positive p. Row low must.
  static NEGPIPE_HD std::int32_t last_user_at(const std::int64_t* user_offsets, std::int32_t low, std::int32_t high,
                                              std::uint64_t p) {
    while (low < high) {
      const std::int32_t middle = low + (high - low + 1) / 2;
      if (static_cast<std::uint64_t>(user_offsets[middle]) <= p) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
};

}  // namespace negpipe::core
