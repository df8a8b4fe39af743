// The training positives behind one view: several forms, one answer.
#pragma once

#include <cstdint>

#include "negpipe/core/bitset.hpp"
#include "negpipe/core/bloom_filter.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::core {

/// How membership is looked up. The answers, and so all bytes, are the same for each.
enum class membership : std::uint8_t {
  sorted_search,  ///< binary search of the user's row: no memory besides the dataset
  bitset,         ///< one bit a (user, item): one read, user_count * item_count / 8 bytes
  bloom_filter,   ///< nearly always one read, of two bytes a positive; what the filter lets through is searched
};

/// What every draw reads. Trivially copyable, owns nothing, and safe to read from any number of threads.
struct positives_view {
  csr_view csr;
  bitset_view bitset;           ///< words is null unless form == membership::bitset
  bloom_filter_view filter;     ///< words is null unless form == membership::bloom_filter
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
