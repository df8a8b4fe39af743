// The kernels' membership forms. ask() makes one read, answers in the lowest bit and may give false positives;
// confirms() checks a positive answer; contains() is exact. All forms give the same bytes.
#pragma once

#include <cstdint>

#include "negpipe/core/bitset.hpp"
#include "negpipe/core/bloom_filter.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/positives.hpp"

namespace negpipe::cuda {

/// How a device dataset looks up membership.
enum class membership_form : std::uint8_t {
  automatic,      ///< the form with the fewest random reads, see choose_form
  bitset,         ///< exact with one read; user_count * item_count / 8 bytes
  bloom_filter,   ///< one read, two bytes per positive; hits are confirmed by bitsets or rows
  sorted_search,  ///< no extra memory
};

constexpr const char* name_of(membership_form form) {
  switch (form) {
    case membership_form::automatic:
      return "automatic";
    case membership_form::bitset:
      return "bitset";
    case membership_form::bloom_filter:
      return "Bloom filter";
    case membership_form::sorted_search:
      return "sorted search";
  }
  return "unknown";
}

/// Returns words[index] if the label is 0; else 0 without a read. Uses a predicate: nvcc would emit a branch that most
/// lanes of a warp take.
NEGPIPE_HD inline std::uint32_t word_if_negative(std::uint32_t label, const std::uint32_t* words, std::uint32_t index) {
#if defined(__CUDA_ARCH__)
  std::uint32_t word = 0;
  asm("{ .reg .pred p; .reg .u64 address; setp.eq.u32 p, %3, 0; mad.wide.u32 address, %1, 4, %2; mov.u32 %0, 0; "
      "@p ld.global.nc.u32 %0, [address]; }"
      : "=&r"(word)
      : "r"(index), "l"(__cvta_generic_to_global(words)), "r"(label));
  return word;
#else
  return label == 0 ? words[index] : 0;
#endif
}

/// For fewer than 2^32 words: larger bitsets are never chosen, and 32-bit indices halve the arithmetic.
struct bitset_form {
  core::bitset_view bits;

  NEGPIPE_HD std::uint32_t ask(user_id user, std::int32_t item, std::uint32_t label) const {
    const auto bit = static_cast<std::uint32_t>(item);
    const std::uint32_t word = static_cast<std::uint32_t>(index(user)) * bits.words_per_row + bit / 32;
    return core::shift_down(word_if_negative(label, bits.words, word), bit);
  }
  NEGPIPE_HD bool confirms(user_id, std::int32_t) const { return true; }
  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const { return (ask(user, item, 0) & 1U) != 0; }
};

/// Candidates that pass the filter are checked in the exact structure: bitsets if they fit, else the rows.
struct filter_form {
  core::bloom_filter_view filter;
  core::positives_view exact;

  NEGPIPE_HD std::uint32_t ask(user_id user, std::int32_t item, std::uint32_t label) const {
    const auto slot = filter.slot_of(user, item);
    return slot.both_in(word_if_negative(label, filter.words, slot.word));
  }
  NEGPIPE_HD bool confirms(user_id user, std::int32_t item) const { return exact.contains(user, item); }
  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const {
    return (ask(user, item, 0) & 1U) != 0 && confirms(user, item);
  }
};

struct search_form {
  core::csr_view csr;

  NEGPIPE_HD std::uint32_t ask(user_id user, std::int32_t item, std::uint32_t label) const {
    return label == 0 && contains(user, item) ? 1 : 0;
  }
  NEGPIPE_HD bool confirms(user_id, std::int32_t) const { return true; }
  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const { return csr.row(user).contains(item); }
};

/// The positives that core::draw_negative reads, with membership in one of the forms.
template <typename Form>
struct positives_of {
  Form form;
  core::csr_view csr;
  std::int32_t item_count;

  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const { return form.contains(user, item); }
};

}  // namespace negpipe::cuda
