// Definition of the pairwise layout: a row is a user, one of the user's positives, and K negatives.
//
// A cycle has c * P rows, in the order of a permutation of its own. Negative k of row i is the draw with index
// i * K + k. The tags are the layout's own (tags_of), so no random block is shared with pointwise points.
#pragma once

#include <cstdint>

#include "negpipe/core/draw.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::core {

/// A row without its negatives.
struct pair_row {
  user_id user;
  item_id item;              ///< the positive
  std::uint64_t first_draw;  ///< index of the draw of negative 0
  std::int8_t valid;         ///< 0 only for the rows that padding::mask adds
};

/// The random words of a cycle's negatives.
NEGPIPE_HD constexpr draw_stream pair_stream(std::uint32_t cycle) {
  return {tag::pair_draw, tag::pair_fallback, cycle};
}

/// Returns the row at a position in [0, padded_count()). Pure function. The plan's layout must be pairwise.
template <typename Source>
NEGPIPE_HD pair_row pair_at(const training_plan& plan, const cycle_key& key, const positives_view& positives,
                            std::uint64_t position, Source source) {
  if (position >= plan.point_count) {
    if (plan.pad == padding::mask) {
      return {user_id{static_cast<std::int32_t>(position % static_cast<std::uint32_t>(positives.user_count))},
              item_id{static_cast<std::int32_t>(position % static_cast<std::uint32_t>(positives.item_count))},
              position * plan.negatives, 0};
    }
    position = resampled_position(plan, key.cycle, position, source);
  }
  const std::uint64_t shuffled = key.order(position);
  const std::uint64_t positive = shuffled - plan.by_positives(shuffled) * plan.positive_count;
  return {positives.csr.user_of(positive), item_id{positives.csr.positive_items[positive]}, position * plan.negatives,
          1};
}

/// Returns negative k of a row of the key's cycle, k < plan.negatives. Pure function. A row that padding::mask adds has
/// the items (first_draw + k) mod item_count, which need not be negatives.
template <typename Source>
NEGPIPE_HD item_id pair_negative(const training_plan& plan, const cycle_key& key, const positives_view& positives,
                                 const pair_row& row, std::uint32_t k, Source source) {
  const std::uint64_t draw = row.first_draw + k;
  if (row.valid == 0) {
    return item_id{static_cast<std::int32_t>(draw % static_cast<std::uint32_t>(positives.item_count))};
  }
  return item_id{draw_item(plan, positives, row.user, pair_stream(key.cycle), draw, source)};
}

}  // namespace negpipe::core
