// Evaluation rows: a user's held-out item, then E negatives of the same user.
#pragma once

#include <cstdint>

#include "negpipe/core/bounded.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/draw.hpp"
#include "negpipe/core/free_draw.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/core/weights.hpp"

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
  weighted_draw weights = {};   ///< unless it is set, negatives are uniform
  std::uint32_t weighted_items = 0;  ///< items of positive weight; with weights only
  std::uint64_t first_user = 0;      ///< of a shard: added to users in rows, and where words are chosen

  NEGPIPE_HD std::uint64_t row_length() const { return negatives + 1ULL; }
  NEGPIPE_HD std::uint64_t element_count() const { return user_count * row_length(); }
  NEGPIPE_HD std::uint64_t padded_count() const { return batch_count * batch_size; }
  /// Returns the number of a user's first element among those of all users, whose shard begins with first_user.
  NEGPIPE_HD std::uint64_t first_element(user_id user) const {
    return (first_user + static_cast<std::uint64_t>(index(user))) * row_length();
  }
};

/// The negatives of one user without replacement: a permutation of the items outside the user's training positives and
/// held-out item. Made once per row.
struct evaluation_row {
  item_row positives;
  permutation order;            ///< of [0, M_u)
  std::uint32_t heldout_rank;   ///< number of items outside the positives below the held-out one

  /// first_user: see evaluation_plan.
  template <typename Source>
  static NEGPIPE_HD evaluation_row make(const positives_view& view, user_id user, Source source,
                                        std::uint64_t first_user = 0) {
    const item_row row = view.csr.row(user);
    const std::int32_t heldout = view.heldout[index(user)];
    const std::uint32_t outside = static_cast<std::uint32_t>(view.item_count) - row.count - 1;
    return {row,
            permutation::make(outside, source, tag::eval_permutation, 0,
                              first_user + static_cast<std::uint64_t>(index(user))),
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

/// Returns how many items distinct negatives of a user may be: those outside the positives and the held-out item; with
/// weights, those of positive weight. The user must have a held-out item.
NEGPIPE_HD inline std::uint32_t items_left(const evaluation_plan& plan, const positives_view& view, user_id user) {
  const item_row row = view.csr.row(user);
  if (!plan.weights.is_set()) return static_cast<std::uint32_t>(view.item_count) - row.count - 1;
  const weighted_outside outside = items_outside(view, user, plan.weights);
  std::uint32_t excluded = outside.mass_of(view.heldout[index(user)]) != 0 ? 1U : 0U;
  for (std::uint32_t k = 0; k < row.count; ++k) excluded += outside.mass_of(row.items[k]) != 0 ? 1U : 0U;
  return plan.weighted_items - excluded;
}

/// Returns whether a row belongs to a user. Other rows are zeros: rows past the last user, of users without a held-out
/// item (heldout is -1), of users without any negative of positive weight, and, where negatives are distinct, of users
/// who have fewer than E items left (no item left with `fewer`). Their masks sum to E, so metrics ignore them.
NEGPIPE_HD inline bool is_evaluated(const evaluation_plan& plan, const positives_view& view, std::uint64_t row) {
  if (row >= plan.user_count || view.heldout[row] < 0) return false;
  const user_id user{static_cast<std::int32_t>(row)};
  if (plan.with_replacement) return !plan.weights.is_set() || items_outside(view, user, plan.weights).mass() != 0;
  return items_left(plan, view, user) >= (plan.fewer ? 1 : plan.negatives);
}

/// The random words of evaluation negatives by weight.
NEGPIPE_HD constexpr free_stream evaluation_stream() {
  return {{tag::eval_draw, tag::eval_fallback, 0}, tag::eval_remaining};
}

/// Returns the item at a column of a user's row: the held-out item in column 0, then negatives. Pure function.
/// Not for distinct negatives by weight, each of which depends on those before it: see write_row.
template <typename Source>
NEGPIPE_HD item_id eval_item_at(const evaluation_plan& plan, const positives_view& view, user_id user,
                                std::uint32_t column, Source source) {
  if (column == 0) return item_id{view.heldout[index(user)]};
  if (plan.with_replacement) {
    const std::uint64_t element = plan.first_element(user) + column;
    const draw_stream stream = evaluation_stream().draws;
    return item_id{plan.weights.is_set() ? draw_negative(view, user, plan.weights, stream, element, source)
                                         : draw_negative(view, user, plan.item_draw, stream, element, source)};
  }
  return item_id{evaluation_row::make(view, user, source, plan.first_user).item_at(column)};
}

/// Writes a user's row, which is_evaluated, to items [0, row_length()). Pure function.
///
/// Distinct negatives by weight are drawn one after the other, each in proportion to the weights of the items that are
/// left. With `fewer`, negatives past the last item repeat the row in order.
template <typename Source>
NEGPIPE_HD void write_row(const evaluation_plan& plan, const positives_view& view, user_id user, Source source,
                          std::int32_t* items) {
  items[0] = view.heldout[index(user)];
  if (plan.with_replacement) {
    for (std::uint32_t c = 1; c <= plan.negatives; ++c) items[c] = index(eval_item_at(plan, view, user, c, source));
    return;
  }
  if (!plan.weights.is_set()) {
    const auto row = evaluation_row::make(view, user, source, plan.first_user);
    for (std::uint32_t c = 1; c <= plan.negatives; ++c) items[c] = row.item_at(c);
    return;
  }
  const std::uint64_t first = plan.first_element(user);
  const std::uint32_t left = items_left(plan, view, user);
  for (std::uint32_t c = 1; c <= plan.negatives; ++c) {
    const taken_items taken{items, 1, items + 1, c - 1};
    items[c] = c > left ? items[c - left]
                        : draw_free(view, user, plan.weights, evaluation_stream(), first + c, taken, source);
  }
}

}  // namespace negpipe::core
