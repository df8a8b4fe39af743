// Positives packed for random access: (user, item) of any positive by one aligned 16-byte read.
//
// A word holds the user of its first positive, the items of all its positives, and one bit for every further
// positive that says whether the next user begins there. At MovieLens-20M's shape that is six positives in 16 bytes:
// 53 MB are read at random instead of 160 MB of pairs, which matters where caches are of that size.
//
//   low  : irregular (1 bit) | user | steps (one bit for positives 1 .. n-1) | the last items
//   high : the first items
//
// A word in which users without positives are skipped cannot be written so; it is marked irregular and looked up in
// the rows.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::core {

/// 128 bits, read at once.
struct alignas(16) packed_word {
  std::uint64_t low;
  std::uint64_t high;
};

/// Where the fields of a word lie, for one shape of dataset.
struct packed_layout {
  static constexpr std::uint32_t max_half_items = 8;

  std::uint32_t user_bits;
  std::uint32_t item_bits;
  std::uint32_t low_items;
  std::uint32_t high_items;

  static NEGPIPE_HD constexpr packed_layout make(std::int32_t user_count, std::int32_t item_count) {
    packed_layout layout{};
    layout.user_bits = at_least_one(bit_width(static_cast<std::uint32_t>(user_count) - 1));
    layout.item_bits = at_least_one(bit_width(static_cast<std::uint32_t>(item_count) - 1));
    layout.high_items = at_most_half(64 / layout.item_bits);
    const std::uint32_t taken = 1 + layout.user_bits + (layout.high_items - 1);
    layout.low_items = at_most_half((64 - taken) / (layout.item_bits + 1));
    return layout;
  }

  NEGPIPE_HD constexpr std::uint32_t per_word() const { return low_items + high_items; }
  NEGPIPE_HD constexpr std::uint64_t word_count(std::uint64_t positive_count) const {
    return ceil_div(positive_count, per_word());
  }
  NEGPIPE_HD constexpr std::uint32_t steps_shift() const { return 1 + user_bits; }
  NEGPIPE_HD constexpr std::uint32_t low_items_shift() const { return user_bits + per_word(); }
  NEGPIPE_HD constexpr std::uint32_t item_mask() const { return ~0U >> (32 - item_bits); }

 private:
  static NEGPIPE_HD constexpr std::uint32_t at_least_one(std::uint32_t bits) { return bits == 0 ? 1 : bits; }
  static NEGPIPE_HD constexpr std::uint32_t at_most_half(std::uint32_t items) {
    return items < max_half_items ? items : max_half_items;
  }
};
static_assert(packed_layout::make(138'493, 26'744).per_word() == 6);
static_assert(packed_layout::make(0x7FFFFFFF, 0x7FFFFFFF).per_word() == 2);

NEGPIPE_HD constexpr std::uint32_t count_ones(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__popc(static_cast<int>(bits)));
#else
  return static_cast<std::uint32_t>(__builtin_popcount(bits));
#endif
}

/// A word and the place of one positive in it. Trivially copyable; only words of regular() may be asked.
struct packed_entry {
  packed_word word;
  std::uint32_t slot;

  NEGPIPE_HD bool regular() const { return (word.low & 1) == 0; }

  NEGPIPE_HD user_id user(const packed_layout& layout) const {
    const auto first = static_cast<std::uint32_t>(word.low >> 1) & (~0U >> (32 - layout.user_bits));
    const auto steps = static_cast<std::uint32_t>(word.low >> layout.steps_shift()) & ((1U << slot) - 1);
    return user_id{static_cast<std::int32_t>(first + count_ones(steps))};
  }

  NEGPIPE_HD std::int32_t item(const packed_layout& layout) const {
    const bool is_high = slot < layout.high_items;
    const std::uint64_t half = is_high ? word.high : word.low >> layout.low_items_shift();
    const std::uint32_t place = is_high ? slot : slot - layout.high_items;
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(half >> (place * layout.item_bits)) &
                                     layout.item_mask());
  }
};

/// All positives of a dataset, packed. Does not own its words.
struct packed_view {
  const packed_word* words;  ///< [layout.word_count(positive_count)]
  packed_layout layout;
};

/// The index-th word of a dataset's positives.
NEGPIPE_HD inline packed_word pack_positives(const packed_layout& layout, const csr_view& csr,
                                             std::uint64_t positive_count, std::uint64_t index) {
  const std::uint64_t first = index * layout.per_word();
  const std::uint64_t left = positive_count - first;
  const auto count = left < layout.per_word() ? static_cast<std::uint32_t>(left) : layout.per_word();
  std::int32_t user = negpipe::index(csr.user_of(first));
  packed_word word{static_cast<std::uint64_t>(user) << 1, 0};
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    if (static_cast<std::uint64_t>(csr.user_offsets[user + 1]) <= first + slot) {
      ++user;
      if (static_cast<std::uint64_t>(csr.user_offsets[user + 1]) <= first + slot) return {1, 0};
      word.low |= 1ULL << (layout.steps_shift() + slot - 1);
    }
    const auto item = static_cast<std::uint64_t>(csr.positive_items[first + slot]);
    if (slot < layout.high_items) {
      word.high |= item << (slot * layout.item_bits);
    } else {
      word.low |= item << (layout.low_items_shift() + (slot - layout.high_items) * layout.item_bits);
    }
  }
  return word;
}

}  // namespace negpipe::core
