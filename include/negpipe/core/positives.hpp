// One view of the training positives with several membership structures.
#pragma once

#include <cstdint>

#include "negpipe/core/bitset.hpp"
#include "negpipe/core/bloom_filter.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::core {

/// How membership is looked up. All forms give the same answers, so the output bytes do not depend on it.
enum class membership : std::uint8_t {
  sorted_search,  ///< binary search in the user's row: no extra memory
  bitset,         ///< one bit per (user, item): one read, user_count * item_count / 8 bytes
  bloom_filter,   ///< nearly always one read, two bytes per positive; hits are confirmed by search
};

/// What every draw reads. Trivially copyable, non-owning, thread-safe.
struct positives_view {
  csr_view csr;
  bitset_view bitset;           ///< words is null unless form is bitset
  bloom_filter_view filter;     ///< words is null unless form is bloom_filter
  const std::int32_t* heldout;  ///< [user_count], never among the user's training positives
  std::int32_t user_count;
  std::int32_t item_count;
  membership form;

  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const {
    if (form == membership::bitset) return bitset.contains(user, item);
    if (form == membership::bloom_filter && !filter.may_contain(user, item)) return false;
    return csr.row(user).contains(item);
  }
};

}  // namespace negpipe::core
