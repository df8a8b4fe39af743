// What making four neighbouring points needs, prepared once for a plan: see neighbours.hpp.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/bounded.hpp"
#include "negpipe/core/divide.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::core {

/// Divides x < 2^31 by a divisor of at least 2, with the smallest shift that is exact: none for 3 and 6.
struct reciprocal32 {
  std::uint32_t magic;  ///< ceil(2^(32 + shift) / divisor)
  std::uint32_t shift;

  static NEGPIPE_HD constexpr reciprocal32 make(std::uint32_t divisor) {
    for (std::uint32_t shift = 0;; ++shift) {
      const std::uint64_t power = 1ULL << (32 + shift);
      const std::uint64_t magic = ceil_div(power, divisor);
      // x * magic / power is too large by x * excess / (power * divisor), which must stay below 1 / divisor.
      const std::uint64_t excess = magic * divisor - power;
      if (excess <= 2ULL << shift) return {static_cast<std::uint32_t>(magic), shift};
    }
  }
  NEGPIPE_HD constexpr std::uint32_t operator()(std::uint32_t x) const { return mul_hi(magic, x) >> shift; }
};
static_assert(reciprocal32::make(2)(0x7FFFFFFFU) == 0x3FFFFFFFU && reciprocal32::make(10)(99) == 9);
static_assert(reciprocal32::make(3).shift == 0 && reciprocal32::make(6).shift == 0);

/// Division of positions of one width.
template <typename Position>
struct position_divider;
template <>
struct position_divider<std::uint32_t> {
  using type = reciprocal32;
};
template <>
struct position_divider<std::uint64_t> {
  using type = divider64;
};

/// What the points of a plan need, prepared for positions of one width. std::uint32_t serves plans of fewer than
/// 2^31 points, with half the arithmetic. Trivially copyable. Aligned so that a device loads four fields at once.
template <typename Position>
struct alignas(16) neighbour_plan {
  using divider = typename position_divider<Position>::type;
  static constexpr int rounds = permutation::rounds_for(permutation::max_size);
  static constexpr std::uint64_t point_limit = sizeof(Position) == 4 ? 1ULL << 31 : permutation::max_size + 1;

  divider by_right_radix;
  digits radices;              ///< of the cycle's permutation, whichever the cycle
  Position minus_right_radix;  ///< negated, so that one multiply-and-add makes a remainder
  Position point_count;
  Position positive_count;
  Position minus_positive_count;  ///< likewise
  divider by_positives;
  bounded32 item_draw;
  Position minus_epoch_points;  ///< P * (1 + K), likewise
  divider by_epoch;
  std::uint32_t epochs;

  /// Whether a plan's positions fit and its permutation is a network of the usual number of rounds.
  static NEGPIPE_HD constexpr bool covers(const training_plan& plan) {
    return plan.point_count < point_limit && plan.point_count > permutation::small_size &&
           permutation::rounds_for(plan.point_count) == rounds && plan.positive_count >= 2;
  }

  /// For a plan that is covered.
  static NEGPIPE_HD constexpr neighbour_plan make(const training_plan& plan) {
    const auto positives = static_cast<Position>(plan.positive_count);
    const auto epoch = static_cast<Position>(plan.point_count / plan.epochs);
    const digits radices = permutation::radices_for(plan.point_count);
    return {divider::make(radices.right),
            radices,
            Position{0} - radices.right,
            static_cast<Position>(plan.point_count),
            positives,
            Position{0} - positives,
            divider::make(positives),
            plan.item_draw,
            Position{0} - epoch,
            divider::make(epoch),
            plan.epochs};
  }
};

}  // namespace negpipe::core
