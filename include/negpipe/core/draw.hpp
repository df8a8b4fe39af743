// Exact draws of an item outside a user's training positives, uniformly or by weight (core/weights.hpp).
//
// Candidates are drawn from all items and rejected while they are positives. After max_draw_attempts (A), the item is
// drawn by rank among the items outside the positives. The mixture stays exact: if d is the positives' share, each
// of M items drawn uniformly has probability (1 - d^A) / M + d^A / M = 1 / M.
#pragma once

#include <cstdint>

#include "negpipe/core/bounded.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"
#include "negpipe/core/positives.hpp"

namespace negpipe::core {

/// Number of candidates before the draw by rank. Part of the stream: changing it changes bytes.
inline constexpr std::uint32_t max_draw_attempts = 16;

/// The random words of a draw: candidate a of the draw at a position is word (position mod 4) of block (position div 4)
/// at attempt a, so that four neighbouring positions share one block.
struct draw_stream {
  tag candidates;
  tag fallback;
  std::uint32_t cycle;
};

/// The items outside a row under the uniform distribution, by mass: each item has mass 1.
struct uniform_outside {
  item_row row;
  std::uint32_t item_count;

  /// Returns the mass of all items outside the row.
  NEGPIPE_HD std::uint32_t mass() const { return item_count - row.count; }
  NEGPIPE_HD std::uint32_t mass_of(std::int32_t) const { return 1; }
  /// Returns the mass of the items outside the row that are below the given one.
  NEGPIPE_HD std::uint32_t mass_below(std::int32_t item) const {
    return static_cast<std::uint32_t>(item) - row.count_below(item);
  }
  /// Returns the item that covers a mass, mass < mass(): the one with mass_below(item) <= mass, the last such.
  NEGPIPE_HD std::int32_t item_at(std::uint32_t mass) const { return row.kth_absent(mass); }
};

/// Returns the items outside a user's positives under the distribution of an item draw. There is an overload for each
/// type of item draw.
template <typename Positives>
NEGPIPE_HD uniform_outside items_outside(const Positives& positives, user_id user, bounded32) {
  return {positives.csr.row(user), static_cast<std::uint32_t>(positives.item_count)};
}

/// Draws from [0, n), 0 < n < 2^32: the first word of the blocks of (purpose, cycle, position) that is accepted.
template <typename Source>
NEGPIPE_HD std::uint32_t draw_below(std::uint32_t n, tag purpose, std::uint32_t cycle, std::uint64_t position,
                                    Source source) {
  const auto below = bounded32::make(n);
  std::uint32_t value = 0;
  std::uint32_t word = 0;
  while (!below(source(make_counter(purpose, cycle, position, word / 4)).any(word), value)) ++word;
  return value;
}

/// Draws an item outside a user's positives by rank, under the distribution of an item draw: what draw_negative does
/// after its last attempt.
template <typename Positives, typename ItemDraw, typename Source>
NEGPIPE_HD std::int32_t draw_outside(const Positives& positives, user_id user, const ItemDraw& item_draw,
                                     draw_stream stream, std::uint64_t position, Source source) {
  const auto outside = items_outside(positives, user, item_draw);
  return outside.item_at(draw_below(outside.mass(), stream.fallback, stream.cycle, position, source));
}

/// Makes one attempt of the draw at a position. Returns false if the candidate is rejected: because its word is, or
/// because the item is one of the user's positives.
template <typename Positives, typename ItemDraw, typename Source>
NEGPIPE_HD bool try_candidate(const Positives& positives, user_id user, const ItemDraw& item_draw, draw_stream stream,
                              std::uint64_t position, std::uint32_t attempt, Source source, std::int32_t& item) {
  const auto block = source(make_counter(stream.candidates, stream.cycle, position / 4, attempt));
  std::uint32_t candidate = 0;
  const bool is_accepted = item_draw(block.any(position), candidate);
  item = static_cast<std::int32_t>(candidate);
  return is_accepted && !positives.contains(user, item);
}

/// Returns the item outside the user's training positives that is drawn at a position. The user must have such an item
/// of positive weight; the held-out item is always one for uniform draws.
/// - item_draw: bounded32 over [0, item_count), or weighted_draw.
/// - Positives: positives_view, or a type with its members contains(user, item), csr and item_count.
template <typename Positives, typename ItemDraw, typename Source>
NEGPIPE_HD std::int32_t draw_negative(const Positives& positives, user_id user, const ItemDraw& item_draw,
                                      draw_stream stream, std::uint64_t position, Source source) {
  NEGPIPE_ROLLED
  for (std::uint32_t attempt = 0; attempt < max_draw_attempts; ++attempt) {
    std::int32_t item = 0;
    if (try_candidate(positives, user, item_draw, stream, position, attempt, source, item)) return item;
  }
  return draw_outside(positives, user, item_draw, stream, position, source);
}

}  // namespace negpipe::core
