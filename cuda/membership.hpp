// The forms in which a kernel asks "has this user touched this item?". operator() is one read and may err towards
// yes; contains() is exact. All forms give the same bytes.
#pragma once

#include "negpipe/core/bitset.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/pair_filter.hpp"

namespace negpipe::cuda {

/// How a device dataset looks membership up.
enum class membership_form : std::uint8_t {
  automatic,      ///< the form that reads least at random, see choose_form
  bitset,         ///< exact by one read, of user_count * item_count / 8 bytes
  pair_filter,    ///< nearly always exact by one read, of two bytes a positive
  sorted_search,  ///< no memory besides the rows
};

constexpr const char* name_of(membership_form form) {
  switch (form) {
    case membership_form::automatic: return "automatic";
    case membership_form::bitset: return "bitset";
    case membership_form::pair_filter: return "pair filter";
    case membership_form::sorted_search: return "sorted search";
  }
  return "unknown";
}

struct bitset_form {
  core::bitset_view bits;

  NEGPIPE_HD bool operator()(user_id user, std::int32_t item) const { return bits.contains(user, item); }
  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const { return bits.contains(user, item); }
};

struct filter_form {
  core::pair_filter_view filter;
  core::csr_view csr;

  NEGPIPE_HD bool operator()(user_id user, std::int32_t item) const { return filter.may_contain(user, item); }
  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const {
    return filter.may_contain(user, item) && csr.row(user).contains(item);
  }
};

struct search_form {
  core::csr_view csr;

  NEGPIPE_HD bool operator()(user_id user, std::int32_t item) const { return csr.row(user).contains(item); }
  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const { return csr.row(user).contains(item); }
};

/// What core::draw_negative asks of, with membership in one of the forms.
template <typename Form>
struct positives_of {
  Form form;
  core::csr_view csr;
  std::int32_t item_count;

  NEGPIPE_HD bool contains(user_id user, std::int32_t item) const { return form.contains(user, item); }
};

}  // namespace negpipe::cuda
