// Exactly uniform draws of an item outside a user's training positives.
//
// Candidates are drawn uniformly from all items and rejected while they are positives. After max_attempts (A), the
// item is drawn by rank among the M items outside the positives. The mixture stays uniform: if d is the share of
// positives, each of the M items has probability (1 - d^A) / M + d^A / M = 1 / M.
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

/// Draws an item outside the row by rank, exactly uniformly. The row must leave at least one item.
template <typename Source>
NEGPIPE_HD std::int32_t draw_by_rank(item_row row, std::int32_t item_count, draw_stream stream, std::uint64_t position,
                                     Source source) {
  const auto below = bounded32::make(static_cast<std::uint32_t>(item_count) - row.count);
  std::uint32_t rank = 0;
  std::uint32_t word = 0;
  while (!below(source(make_counter(stream.fallback, stream.cycle, position, word / 4)).any(word), rank)) {
    ++word;
  }
  return row.kth_absent(rank);
}

/// Makes one attempt of the draw at a position. Returns false if the candidate is rejected: because its word is, or
/// because the item is one of the user's positives.
template <typename Positives, typename Source>
NEGPIPE_HD bool try_candidate(const Positives& positives, user_id user, bounded32 item_draw, draw_stream stream,
                              std::uint64_t position, std::uint32_t attempt, Source source, std::int32_t& item) {
  const auto block = source(make_counter(stream.candidates, stream.cycle, position / 4, attempt));
  std::uint32_t candidate = 0;
  const bool is_accepted = item_draw(block.any(position), candidate);
  item = static_cast<std::int32_t>(candidate);
  return is_accepted && !positives.contains(user, item);
}

/// Returns the item outside the user's training positives that is drawn at a position. The user must have such an item;
/// the held-out item is always one.
/// - item_draw: draws from [0, item_count).
/// - Positives: positives_view, or a type with its members contains(user, item), csr and item_count.
template <typename Positives, typename Source>
NEGPIPE_HD std::int32_t draw_negative(const Positives& positives, user_id user, bounded32 item_draw, draw_stream stream,
                                      std::uint64_t position, Source source) {
  NEGPIPE_ROLLED
  for (std::uint32_t attempt = 0; attempt < max_draw_attempts; ++attempt) {
    std::int32_t item = 0;
    if (try_candidate(positives, user, item_draw, stream, position, attempt, source, item)) return item;
  }
  return draw_by_rank(positives.csr.row(user), positives.item_count, stream, position, source);
}

}  // namespace negpipe::core
