// Positives packed for random access: (user, item) of any positive by one aligned 16-byte read.
//
// A word holds the user of its first positive, the items of all its positives, and one bit per further positive that
// says whether the next user begins there. That is six positives in 16 bytes for up to 65,536 items, three beyond. For
// MovieLens-20M, 53 MB are read at random instead of 160 MB of pairs, which matters because caches are of that size.
//
//   part 0     : from bit 0 on the steps (bit k - 1 for positive k), then the user; bit 31 means irregular
//   parts 1..3 : the items, 16 or 32 bits each
//
// A word that skips users without positives has no such form; it is marked irregular and looked up in the rows.
#pragma once

#include <cstdint>

#include "bits.hpp"
#include "negpipe/core/arith.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::cuda {

/// 128 bits, read at once.
struct alignas(16) packed_word {
  static constexpr std::uint32_t irregular = 1U << 31;  ///< in part 0

  std::uint32_t part[4];
};

/// Returns words[index]. The memory must not be written concurrently.
NEGPIPE_HD inline packed_word load_word(const packed_word* words, std::uint32_t index) {
#if defined(__CUDA_ARCH__)
  packed_word word;
  asm("{ .reg .u64 address; mad.wide.u32 address, %4, 16, %5; ld.global.nc.v4.u32 {%0, %1, %2, %3}, [address]; }"
      : "=r"(word.part[0]), "=r"(word.part[1]), "=r"(word.part[2]), "=r"(word.part[3])
      : "r"(index), "l"(__cvta_generic_to_global(words)));
  return word;
#else
  return words[index];
#endif
}
NEGPIPE_HD inline packed_word load_word(const packed_word* words, std::uint64_t index) { return words[index]; }

/// Offsets of the fields of a word whose items have item_bits bits, 16 or 32.
template <std::uint32_t bits>
struct packed_layout {
  static_assert(bits == 16 || bits == 32);
  static constexpr std::uint32_t item_bits = bits;
  static constexpr std::uint32_t per_word = 96 / item_bits;  ///< positives per word
  static constexpr std::uint32_t step_bits = per_word - 1;
  static constexpr std::int32_t max_users = 1 << (31 - step_bits);

  static NEGPIPE_HD constexpr bool covers(std::int32_t user_count, std::int32_t item_count) {
    return user_count <= max_users && (item_bits == 32 || item_count <= 1 << 16);
  }
  static NEGPIPE_HD constexpr std::uint64_t word_count(std::uint64_t positive_count) {
    return core::ceil_div(positive_count, per_word);
  }
};
using narrow_layout = packed_layout<16>;  ///< 16-bit items, six per word
using wide_layout = packed_layout<32>;    ///< 32-bit items, three per word

/// A word and the slot of one positive in it. Trivially copyable. The word must be regular().
template <typename Layout>
struct packed_entry {
  packed_word word;
  std::uint32_t slot;  ///< below Layout::per_word

  NEGPIPE_HD bool regular() const { return (word.part[0] & packed_word::irregular) == 0; }

  NEGPIPE_HD user_id user() const {
    // The steps of positives 1 .. slot are the lowest slot bits: count them with all others shifted out.
    const std::uint32_t steps = count_ones(lowest_on_top(word.part[0], slot));
    return user_id{static_cast<std::int32_t>((word.part[0] >> Layout::step_bits) + steps)};
  }

  /// Returns the item in the lowest Layout::item_bits; the bits above are unspecified.
  NEGPIPE_HD std::int32_t item() const {
    if constexpr (Layout::per_word == 6) {
      // Slots 0 to 3 are the halves of parts 1 and 2, in this order; slots 4 and 5 those of part 3.
      return static_cast<std::int32_t>(half_of(slot < 4 ? word.part[1] : word.part[3], word.part[2], slot));
    } else {
      return static_cast<std::int32_t>(slot == 0 ? word.part[1] : slot == 1 ? word.part[2] : word.part[3]);
    }
  }
};

/// Packs the index-th word of a dataset's positives. The layout must cover the dataset.
template <typename Layout>
NEGPIPE_HD packed_word pack_positives(const core::csr_view& csr, std::uint64_t positive_count, std::uint64_t index) {
  const std::uint64_t first = index * Layout::per_word;
  const std::uint64_t left = positive_count - first;
  const auto count = left < Layout::per_word ? static_cast<std::uint32_t>(left) : Layout::per_word;
  std::int32_t user = negpipe::index(csr.user_of(first));
  packed_word word{{static_cast<std::uint32_t>(user) << Layout::step_bits, 0, 0, 0}};
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    if (static_cast<std::uint64_t>(csr.user_offsets[user + 1]) <= first + slot) {
      ++user;
      if (static_cast<std::uint64_t>(csr.user_offsets[user + 1]) <= first + slot) {
        return {{packed_word::irregular, 0, 0, 0}};
      }
      word.part[0] |= 1U << (slot - 1);
    }
    constexpr std::uint32_t a_part = Layout::per_word / 3;
    word.part[1 + slot / a_part] |= static_cast<std::uint32_t>(csr.positive_items[first + slot])
                                    << (slot % a_part * 16);
  }
  return word;
}

}  // namespace negpipe::cuda
