// Deliberately broken samplers, each with a defect found in real ones. A statistical test must reject each.
#pragma once

#include <algorithm>
#include <cstdint>

#include "negpipe/core/training.hpp"

namespace negpipe::test::mutants {

/// Returns an item for (positives, user, seed, cycle, position).
using negative_sampler = std::int32_t (*)(const core::positives_view&, user_id, std::uint64_t seed, std::uint32_t cycle,
                                          std::uint64_t position);

inline constexpr core::draw_stream stream_of(std::uint32_t cycle) {
  return {core::tag::train_draw, core::tag::train_fallback, cycle};
}

inline core::bounded32 all_items(const core::positives_view& view) {
  return core::bounded32::make(static_cast<std::uint32_t>(view.item_count));
}

inline std::uint32_t candidate_word(std::uint64_t seed, std::uint32_t cycle, std::uint64_t position,
                                    std::uint32_t attempt) {
  return core::philox4x32_10(core::make_counter(core::tag::train_draw, cycle, position / 4, attempt), seed)
      .word[position % 4];
}

/// The core's sampler, unbroken.
inline std::int32_t real_negative(const core::positives_view& view, user_id user, std::uint64_t seed,
                                  std::uint32_t cycle, std::uint64_t position) {
  return core::draw_negative(view, user, all_items(view), stream_of(cycle), position, core::philox_source{seed});
}

/// Never draws the last item: high = item_count - 1, although the range is half open.
inline std::int32_t last_item_never(const core::positives_view& view, user_id user, std::uint64_t seed,
                                    std::uint32_t cycle, std::uint64_t position) {
  const auto but_one = core::bounded32::make(std::max(1U, static_cast<std::uint32_t>(view.item_count) - 1));
  const std::int32_t item =
      core::draw_negative(view, user, but_one, stream_of(cycle), position, core::philox_source{seed});
  if (item != view.item_count - 1) return item;
  core::positives_view without_last = view;
  --without_last.item_count;
  return core::draw_outside(without_last, user, but_one, stream_of(cycle), position, core::philox_source{seed});
}

/// word mod n of 16-bit words: small ids are drawn more often.
inline std::int32_t modulo_bias(const core::positives_view& view, user_id user, std::uint64_t seed, std::uint32_t cycle,
                                std::uint64_t position) {
  for (std::uint32_t attempt = 0;; ++attempt) {
    const std::uint32_t word = candidate_word(seed, cycle, position, attempt) >> 16;
    const auto item = static_cast<std::int32_t>(word % static_cast<std::uint32_t>(view.item_count));
    if (!view.contains(user, item)) return item;
  }
}

/// Positives are not excluded.
inline std::int32_t exclusion_off(const core::positives_view& view, user_id, std::uint64_t seed, std::uint32_t cycle,
                                  std::uint64_t position) {
  std::uint32_t item = 0;
  all_items(view)(candidate_word(seed, cycle, position, 0), item);
  return static_cast<std::int32_t>(item);
}

/// One attempt, then the lowest item that is not a positive.
inline std::int32_t lowest_after_one_try(const core::positives_view& view, user_id user, std::uint64_t seed,
                                         std::uint32_t cycle, std::uint64_t position) {
  const std::int32_t item = exclusion_off(view, user, seed, cycle, position);
  return view.contains(user, item) ? view.csr.row(user).kth_absent(0) : item;
}

/// One attempt, then the next item that is not a positive: items after a run of positives are drawn more often.
inline std::int32_t next_after_one_try(const core::positives_view& view, user_id user, std::uint64_t seed,
                                       std::uint32_t cycle, std::uint64_t position) {
  std::int32_t item = exclusion_off(view, user, seed, cycle, position);
  while (view.contains(user, item)) item = (item + 1) % view.item_count;
  return item;
}

/// Excludes the held-out item too, which leaks the answer to the model.
inline std::int32_t heldout_left_out(const core::positives_view& view, user_id user, std::uint64_t seed,
                                     std::uint32_t cycle, std::uint64_t position) {
  for (std::uint32_t attempt = 0;; ++attempt) {
    std::uint32_t item = 0;
    if (all_items(view)(candidate_word(seed, cycle, position, attempt), item) &&
        !view.contains(user, static_cast<std::int32_t>(item)) &&
        static_cast<std::int32_t>(item) != view.heldout[index(user)]) {
      return static_cast<std::int32_t>(item);
    }
  }
}

/// Every cycle draws what cycle 0 drew.
inline std::int32_t cycle_ignored(const core::positives_view& view, user_id user, std::uint64_t seed, std::uint32_t,
                                  std::uint64_t position) {
  return real_negative(view, user, seed, 0, position);
}

/// Seed and cycle are added: cycle 1 of a seed is cycle 0 of the next.
inline std::int32_t cycle_added_to_seed(const core::positives_view& view, user_id user, std::uint64_t seed,
                                        std::uint32_t cycle, std::uint64_t position) {
  return real_negative(view, user, seed + cycle, 0, position);
}

/// Two neighbouring positions use the same word.
inline std::int32_t word_shared_by_two(const core::positives_view& view, user_id user, std::uint64_t seed,
                                       std::uint32_t cycle, std::uint64_t position) {
  return real_negative(view, user, seed, cycle, position / 2);
}

/// The generator has a short period: draws 4,096 apart are equal.
inline std::int32_t short_period(const core::positives_view& view, user_id user, std::uint64_t seed,
                                 std::uint32_t cycle, std::uint64_t position) {
  return real_negative(view, user, seed, cycle, position % 4096);
}

/// Scales to [0, n] instead of [0, n), as a floating-point generator that can return 1.0 does.
inline std::int32_t end_included(const core::positives_view& view, user_id user, std::uint64_t seed,
                                 std::uint32_t cycle, std::uint64_t position) {
  const auto past_end = static_cast<std::uint32_t>(view.item_count) + 1;
  for (std::uint32_t attempt = 0;; ++attempt) {
    const auto item = static_cast<std::int32_t>(core::mul_hi(candidate_word(seed, cycle, position, attempt), past_end));
    if (item == view.item_count || !view.contains(user, item)) return item;
  }
}

}  // namespace negpipe::test::mutants
