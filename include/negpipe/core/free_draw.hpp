// Free draws: negatives for users that the caller names, by a number `at` of the call and an element of its output.
//
// Element e of call `at` is a function of (seed, at, e), the user, and the items that this element may not give.
// Neighbours share a Philox block as in training. Three stages, each exact for the items that remain:
//
// 1. max_draw_attempts candidates from all items; one that is neither a positive nor taken is the result.
// 2. One draw by rank outside the positives; the result unless taken.
// 3. A draw by rank outside the positives and the taken items.
//
// So an element whose items are not taken has the value that it has without taken items.
#pragma once

#include <cstdint>

#include "negpipe/core/counter.hpp"
#include "negpipe/core/draw.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"
#include "negpipe/core/positives.hpp"

namespace negpipe::core {

/// Stands for no item: the negatives of padding users, and draws from nothing.
inline constexpr std::int32_t no_item = -1;

/// The random words of a call.
struct free_stream {
  draw_stream draws;  ///< stages 1 and 2; its cycle is `at`
  tag remaining;      ///< stage 3

  /// Returns the stream of draws for users.
  static NEGPIPE_HD constexpr free_stream for_users(std::uint32_t at) {
    return {{tag::free_draw, tag::free_fallback, at}, tag::free_remaining};
  }
  /// Returns the stream of draws that a whole batch shares.
  static NEGPIPE_HD constexpr free_stream shared(std::uint32_t at) {
    return {{tag::shared_draw, tag::shared_fallback, at}, tag::shared_remaining};
  }
};

/// Items that an element may not give beside the user's positives. Non-owning.
struct taken_items {
  const std::int32_t* excluded;  ///< the caller's, in any order; may hold repeats, positives and negative numbers
  std::uint32_t excluded_count;
  const std::int32_t* drawn;     ///< earlier elements of a row without repeats: distinct, or no_item
  std::uint32_t drawn_count;

  NEGPIPE_HD bool contains(std::int32_t item) const {
    return holds(excluded, excluded_count, item) || holds(drawn, drawn_count, item);
  }

  /// Returns the mass of the taken items outside the positives with at most so much mass below them.
  template <typename Outside>
  NEGPIPE_HD std::uint32_t mass(const Outside& outside, std::uint32_t limit) const {
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < excluded_count; ++i) {
      if (!holds(excluded, i, excluded[i])) sum += mass_of(outside, excluded[i], limit);
    }
    for (std::uint32_t i = 0; i < drawn_count; ++i) sum += mass_of(outside, drawn[i], limit);
    return sum;
  }

 private:
  static NEGPIPE_HD bool holds(const std::int32_t* items, std::uint32_t count, std::int32_t item) {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (items[i] == item) return true;
    }
    return false;
  }

  template <typename Outside>
  static NEGPIPE_HD std::uint32_t mass_of(const Outside& outside, std::int32_t item, std::uint32_t limit) {
    if (item < 0 || outside.row.contains(item) || outside.mass_below(item) > limit) return 0;
    return outside.mass_of(item);
  }
};

/// Positives of nobody, for shared draws: drawn from all items.
struct no_positives {
  struct empty_rows {
    NEGPIPE_HD item_row row(user_id) const { return {nullptr, 0}; }
    NEGPIPE_HD std::uint64_t row_start(user_id) const { return 0; }
  };
  empty_rows csr;
  std::int32_t item_count;

  NEGPIPE_HD bool contains(user_id, std::int32_t) const { return false; }
};

/// Stage 3: draws by rank outside the positives and the taken items. Returns no_item if nothing is left.
/// - Taken: taken_items, or a type with its members contains(item) and mass(outside, limit).
/// - Ends for all weights: the mass never falls, and rises only if it counts a further taken item. So the taken mass is
///   asked for at most once per taken item of positive weight outside the positives, and twice more.
template <typename Outside, typename Source, typename Taken>
NEGPIPE_HD std::int32_t draw_remaining(const Outside& outside, const Taken& taken, const free_stream& stream,
                                       std::uint64_t element, Source source) {
  const std::uint32_t left = outside.mass() - taken.mass(outside, ~0U);
  if (left == 0) return no_item;
  const std::uint32_t rank = draw_below(left, stream.remaining, stream.draws.cycle, element, source);
  std::uint32_t mass = rank;
  for (;;) {  // the least mass that exceeds the taken mass below it by rank
    const std::uint32_t next = rank + taken.mass(outside, mass);
    if (next == mass) return outside.item_at(mass);
    mass = next;
  }
}

/// Returns element `element` of a call: an item outside the user's positives and the taken items; no_item if there is
/// none. Pure function.
/// - item_draw, Positives: as for draw_negative. Taken: as for draw_remaining.
template <typename Positives, typename ItemDraw, typename Source, typename Taken = taken_items>
NEGPIPE_HD std::int32_t draw_free(const Positives& positives, user_id user, const ItemDraw& item_draw,
                                  const free_stream& stream, std::uint64_t element, const Taken& taken,
                                  Source source) {
  NEGPIPE_ROLLED
  for (std::uint32_t attempt = 0; attempt < max_draw_attempts; ++attempt) {
    std::int32_t item = 0;
    const bool found = try_candidate(positives, user, item_draw, stream.draws, element, attempt, source, item);
    if (found && !taken.contains(item)) return item;
  }
  const auto outside = items_outside(positives, user, item_draw);
  if (outside.mass() == 0) return no_item;
  const std::int32_t item =
      outside.item_at(draw_below(outside.mass(), stream.draws.fallback, stream.draws.cycle, element, source));
  return taken.contains(item) ? draw_remaining(outside, taken, stream, element, source) : item;
}

}  // namespace negpipe::core
