// Definition of training points: the plan of a run, the key of a cycle, and the point at a position. pairwise.hpp
// defines the rows of the pairwise layout, which share plan and key.
#pragma once

#include <cstdint>

#include "negpipe/core/bounded.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/divide.hpp"
#include "negpipe/core/draw.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/philox.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/core/weights.hpp"

namespace negpipe::core {

/// How the last, incomplete batch is padded.
enum class padding : std::uint8_t {
  resample,  ///< with points of the same cycle, drawn with replacement; first and last batch swap
  mask,      ///< with rows that a fourth column, valid_point_mask, marks 0
  drop,      ///< the incomplete batch is dropped
};

/// What a training batch consists of. A position counts points or rows, whichever the layout has.
enum class batch_layout : std::uint8_t {
  pointwise,  ///< points: (user, item, label)
  pairwise,   ///< rows: (user, positive item, K negatives)
};

/// The purposes of a layout's random blocks. No layout reads another's.
struct layout_tags {
  tag round_keys;
  tag draw;
  tag fallback;
  tag padding;
};
NEGPIPE_HD constexpr layout_tags tags_of(batch_layout layout) {
  return layout == batch_layout::pairwise
             ? layout_tags{tag::pair_round_keys, tag::pair_draw, tag::pair_fallback, tag::pair_padding}
             : layout_tags{tag::round_keys, tag::train_draw, tag::train_fallback, tag::padding};
}

/// One row of a pointwise training batch.
struct point {
  user_id user;
  item_id item;
  std::int8_t label;  ///< 1 for a positive, 0 for a negative or a masked row
  std::int8_t valid;  ///< 0 only for the rows that padding::mask adds
};

/// The constants of all cycles of a run. Made and checked by negpipe::plan_training. Trivially copyable.
struct training_plan {
  std::uint64_t seed;
  std::uint64_t positive_count;     ///< P, at least 1
  std::uint32_t negatives;          ///< K per positive, may be 0
  std::uint32_t epochs;             ///< c per cycle, at least 1
  std::uint64_t point_count;        ///< N = c * P * (1 + K), or c * P rows if pairwise; at most permutation::max_size
  std::uint64_t batch_size;         ///< B, points or rows
  std::uint64_t batch_count;        ///< ceil(N / B), or floor for padding::drop; at least 1
  padding pad;
  divider64 by_positives;           ///< divides by P
  bounded32 item_draw;              ///< draws from all items
  bounded64 padding_draw;           ///< draws from all points or rows
  weighted_draw weights;            ///< unless it is set, negatives are uniform
  batch_layout layout = batch_layout::pointwise;

  NEGPIPE_HD std::uint64_t padded_count() const { return batch_count * batch_size; }

  /// Returns the position at which the batch-th record begins: with padding::resample, first and last batch swap.
  NEGPIPE_HD std::uint64_t first_position(std::uint64_t batch) const {
    if (pad == padding::resample) {
      if (batch == 0) {
        batch = batch_count - 1;
      } else if (batch == batch_count - 1) {
        batch = 0;
      }
    }
    return batch * batch_size;
  }
};

/// The permutation key of one cycle. Trivially copyable.
struct cycle_key {
  std::uint32_t cycle;
  permutation order;

  template <typename Source>
  static NEGPIPE_HD cycle_key make(const training_plan& plan, std::uint32_t cycle, Source source) {
    return {cycle, permutation::make(plan.point_count, source, tags_of(plan.layout).round_keys, cycle, 0)};
  }
};

/// The positive of a shuffled index, and whether the point is the positive itself or one of its negatives.
struct origin {
  std::uint64_t positive;
  bool is_positive;
};

/// shuffled: a point's index before the shuffle, in the order epochs, slots, positives.
NEGPIPE_HD inline origin origin_of(const training_plan& plan, std::uint64_t shuffled) {
  const std::uint64_t slots = plan.by_positives(shuffled);
  return {shuffled - slots * plan.positive_count,
          slots == 0 || (plan.epochs > 1 && slots % (plan.negatives + 1ULL) == 0)};
}

/// Returns the position in [0, N) whose point or row fills the padding position (>= N) under padding::resample.
template <typename Source>
NEGPIPE_HD std::uint64_t resampled_position(const training_plan& plan, std::uint32_t cycle,
                                            std::uint64_t position, Source source) {
  std::uint64_t drawn = 0;
  for (std::uint32_t half = 0;; ++half) {
    const auto block = source(make_counter(tags_of(plan.layout).padding, cycle, position, half / 2));
    const std::uint32_t low = block.word[2 * (half % 2)];
    const std::uint32_t high = block.word[2 * (half % 2) + 1];
    if (plan.padding_draw(static_cast<std::uint64_t>(high) << 32 | low, drawn)) return drawn;
  }
}

/// Returns the negative that is drawn at a position of a stream, under the plan's distribution. See draw_negative.
template <typename Source>
NEGPIPE_HD std::int32_t draw_item(const training_plan& plan, const positives_view& positives, user_id user,
                                  draw_stream stream, std::uint64_t position, Source source) {
  return plan.weights.is_set() ? draw_negative(positives, user, plan.weights, stream, position, source)
                               : draw_negative(positives, user, plan.item_draw, stream, position, source);
}

/// Returns the point at a position in [0, padded_count()). Pure function. The plan's layout must be pointwise.
template <typename Source>
NEGPIPE_HD point point_at(const training_plan& plan, const cycle_key& key, const positives_view& positives,
                          std::uint64_t position, Source source) {
  if (position >= plan.point_count) {
    if (plan.pad == padding::mask) {
      return {user_id{static_cast<std::int32_t>(position % static_cast<std::uint32_t>(positives.user_count))},
              item_id{static_cast<std::int32_t>(position % static_cast<std::uint32_t>(positives.item_count))}, 0,
              0};
    }
    position = resampled_position(plan, key.cycle, position, source);
  }
  const origin from = origin_of(plan, key.order(position));
  const user_id user = positives.csr.user_of(from.positive);
  if (from.is_positive) return {user, item_id{positives.csr.positive_items[from.positive]}, 1, 1};
  const draw_stream stream{tag::train_draw, tag::train_fallback, key.cycle};
  return {user, item_id{draw_item(plan, positives, user, stream, position, source)}, 0, 1};
}

}  // namespace negpipe::core
