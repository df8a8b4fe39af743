// Evaluation rows: a user's held-out item, then E negatives of the same user.
#pragma once

#include <cstdint>

#include "negpipe/core/bounded.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/draw.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/positives.hpp"

namespace negpipe::core {

/// The constants of a run's evaluation data. Made and checked by negpipe::plan_evaluation.
struct evaluation_plan {
  std::uint64_t seed;
  std::uint32_t negatives;      ///< E per user, at least 1
  bool with_replacement;        ///< MLPerf: drawn as in training, the held-out item allowed
  std::uint64_t user_count;
  std::uint64_t batch_size;     ///< a multiple of E + 1
  std::uint64_t batch_count;    ///< ceil(user_count * (E + 1) / batch_size)
  bounded32 item_draw;          ///< draws from all items
  bool fewer;                   ///< rows of users with fewer than E items left repeat their negatives

  NEGPIPE_HD std::uint64_t row_length() const { return negatives + 1ULL; }
  NEGPIPE_HD std::uint64_t element_count() const { return user_count * row_length(); }
  NEGPIPE_HD std::uint64_t padded_count() const { return batch_count * batch_size; }
};

/// The negatives of one user without replacement: a permutation of the items outside the user's training positives and
/// held-out item. Made once per row.
struct evaluation_row {
  item_row positives;
  permutation order;            ///< of [0, M_u)
  std::uint32_t heldout_rank;   ///< number of items outside the positives below the held-out one

  template <typename Source>
  static NEGPIPE_HD evaluation_row make(const positives_view& view, user_id user, Source source) {
    const item_row row = view.csr.row(user);
    const std::int32_t heldout = view.heldout[index(user)];
    const std::uint32_t outside = static_cast<std::uint32_t>(view.item_count) - row.count - 1;
    return {row,
            permutation::make(outside, source, tag::eval_permutation, 0,
                              static_cast<std::uint64_t>(index(user))),
            static_cast<std::uint32_t>(heldout) - row.count_below(heldout)};
  }

  /// Returns the rank-th item outside the positives and the held-out item.
  NEGPIPE_HD std::int32_t item_of_rank(std::uint32_t rank) const {
    return positives.kth_absent(rank < heldout_rank ? rank : rank + 1);
  }

  /// Returns the j-th negative, j < M_u.
  NEGPIPE_HD std::int32_t negative(std::uint32_t j) const {
    return item_of_rank(static_cast<std::uint32_t>(order(j)));
  }

  /// Returns the item at a column from 1 on. Columns past the M_u-th repeat the negatives in order, which their
  /// duplicate_mask says (evaluation_plan::fewer).
  NEGPIPE_HD std::int32_t item_at(std::uint32_t column) const {
    const std::uint32_t j = column - 1;
    return negative(j < order.size ? j : j % static_cast<std::uint32_t>(order.size));
  }
};

/// Returns whether a row belongs to a user. Other rows are zeros: rows past the last user, of users without a held-out
/// item (heldout is -1), and, where negatives are distinct, of users who have fewer than E items left (no item left
/// with `fewer`). Their masks sum to E, so metrics ignore them.
NEGPIPE_HD inline bool is_evaluated(const evaluation_plan& plan, const positives_view& view, std::uint64_t row) {
  if (row >= plan.user_count || view.heldout[row] < 0) return false;
  if (plan.with_replacement) return true;
  const std::uint64_t positives = view.csr.row(user_id{static_cast<std::int32_t>(row)}).count;
  return static_cast<std::uint64_t>(view.item_count) >= positives + 1 + (plan.fewer ? 1 : plan.negatives);
}

/// Returns the item at a column of a user's row: the held-out item in column 0, then negatives. Pure function.
template <typename Source>
NEGPIPE_HD item_id eval_item_at(const evaluation_plan& plan, const positives_view& view, user_id user,
                                std::uint32_t column, Source source) {
  if (column == 0) return item_id{view.heldout[index(user)]};
  if (plan.with_replacement) {
    const std::uint64_t element = static_cast<std::uint64_t>(index(user)) * plan.row_length() + column;
    const draw_stream stream{tag::eval_draw, tag::eval_fallback, 0};
    return item_id{draw_negative(view, user, plan.item_draw, stream, element, source)};
  }
  return item_id{evaluation_row::make(view, user, source).item_at(column)};
}

}  // namespace negpipe::core
