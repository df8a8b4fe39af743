// Positives packed for random access: (user, item) of any positive by one aligned 16-byte read.
//
// A word holds the user of its first positive, the items of all its positives, and one bit for every further
// positive that says whether the next user begins there. At MovieLens-20M's shape that is six positives in 16 bytes:
// 53 MB are read at random instead of 160 MB of pairs, which matters where caches are of that size.
//
//   low  : user | steps (one bit for positives 1 .. n-1) | irregular (bit 31) | from bit 32 on: the first items
//   high : the other items
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
  static constexpr std::uint64_t irregular = 1ULL << 31;

  std::uint32_t user_bits;
  std::uint32_t user_mask;
  std::uint32_t item_bits;
  std::uint32_t item_mask;
  std::uint32_t low_items;
  std::uint32_t per_word;   ///< positives a word; at least 2 for fewer than 2^30 users
  std::uint32_t low_shift;  ///< bit of item 0, modulo 64
  std::uint32_t high_shift; ///< bit that item 0 would have in high, modulo 64

  static NEGPIPE_HD constexpr packed_layout make(std::int32_t user_count, std::int32_t item_count) {
    packed_layout layout{};
    layout.user_bits = at_least_one(bit_width(static_cast<std::uint32_t>(user_count) - 1));
    layout.user_mask = ~0U >> (32 - layout.user_bits);
    layout.item_bits = at_least_one(bit_width(static_cast<std::uint32_t>(item_count) - 1));
    layout.item_mask = ~0U >> (32 - layout.item_bits);
    const std::uint32_t most = 32 - layout.user_bits;  // by the room for steps
    layout.low_items = at_most(32 / layout.item_bits, most);
    layout.per_word = at_most(layout.low_items + 64 / layout.item_bits, most);
    layout.low_shift = 32;
    layout.high_shift = 0U - layout.low_items * layout.item_bits;
    return layout;
  }

  NEGPIPE_HD constexpr std::uint64_t word_count(std::uint64_t positive_count) const {
    return ceil_div(positive_count, per_word);
  }
  /// The bit of the slot's item in the half that holds it.
  NEGPIPE_HD constexpr std::uint32_t item_shift(std::uint32_t slot) const {
    return slot * item_bits + (slot < low_items ? low_shift : high_shift);
  }

 private:
  static NEGPIPE_HD constexpr std::uint32_t at_least_one(std::uint32_t bits) { return bits == 0 ? 1 : bits; }
  static NEGPIPE_HD constexpr std::uint32_t at_most(std::uint32_t a, std::uint32_t b) { return a < b ? a : b; }
};
static_assert(packed_layout::make(138'493, 26'744).per_word == 6);
static_assert(packed_layout::make(1 << 29, 0x7FFFFFFF).per_word == 3);

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

  NEGPIPE_HD bool regular() const { return (word.low & packed_layout::irregular) == 0; }

  NEGPIPE_HD user_id user(const packed_layout& layout) const {
    const auto low = static_cast<std::uint32_t>(word.low);
    const std::uint32_t steps = count_ones(bit_field(low, layout.user_bits, slot));
    return user_id{static_cast<std::int32_t>((low & layout.user_mask) + steps)};
  }

  NEGPIPE_HD std::int32_t item(const packed_layout& layout) const {
    const std::uint64_t half = slot < layout.low_items ? word.low : word.high;
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(half >> layout.item_shift(slot)) & layout.item_mask);
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
  const std::uint64_t first = index * layout.per_word;
  const std::uint64_t left = positive_count - first;
  const auto count = left < layout.per_word ? static_cast<std::uint32_t>(left) : layout.per_word;
  std::int32_t user = negpipe::index(csr.user_of(first));
  packed_word word{static_cast<std::uint64_t>(user), 0};
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    if (static_cast<std::uint64_t>(csr.user_offsets[user + 1]) <= first + slot) {
      ++user;
      if (static_cast<std::uint64_t>(csr.user_offsets[user + 1]) <= first + slot) {
        return {packed_layout::irregular, 0};
      }
      word.low |= 1ULL << (layout.user_bits + slot - 1);
    }
    const auto item = static_cast<std::uint64_t>(csr.positive_items[first + slot]) << layout.item_shift(slot);
    if (slot < layout.low_items) {
      word.low |= item;
    } else {
      word.high |= item;
    }
  }
  return word;
}

}  // namespace negpipe::core
