// Constants for making four neighbouring points, prepared once per plan; see neighbours.hpp.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/divide.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::cuda {

/// The constants of a plan for positions of one width. std::uint32_t serves plans of fewer than 2^31 points, with half
/// the arithmetic. Trivially copyable. Aligned so that a device loads four fields at once.
template <typename Position>
struct alignas(16) neighbour_plan {
  using divider = core::divider<Position>;
  static constexpr int rounds = core::permutation::rounds_for(core::permutation::max_size);
  static constexpr std::uint64_t point_limit = sizeof(Position) == 4 ? 1ULL << 31 : core::permutation::max_size + 1;

  divider by_right_radix;
  core::digits radices;              ///< of the permutation of every cycle
  Position minus_right_radix;  ///< negated, so that one multiply-and-add makes a remainder
  Position point_count;
  Position positive_count;
  Position minus_positive_count;  ///< negated for the same reason
  divider by_positives;
  Position minus_epoch_points;  ///< P * (1 + K), negated for the same reason
  divider by_epoch;
  std::uint32_t epochs;

  /// Returns whether a plan's positions fit and its permutation is a network of the usual number of rounds.
  static NEGPIPE_HD constexpr bool covers(const core::training_plan& plan) {
    return plan.point_count < point_limit && plan.point_count > core::permutation::small_size &&
           core::permutation::rounds_for(plan.point_count) == rounds && plan.positive_count >= 2;
  }

  /// Makes the constants. Requires covers(plan).
  static NEGPIPE_HD constexpr neighbour_plan make(const core::training_plan& plan) {
    const auto positives = static_cast<Position>(plan.positive_count);
    const auto epoch = static_cast<Position>(plan.point_count / plan.epochs);
    const core::digits radices = core::permutation::radices_for(plan.point_count);
    return {divider::make(radices.right),
            radices,
            Position{0} - radices.right,
            static_cast<Position>(plan.point_count),
            positives,
            Position{0} - positives,
            divider::make(positives),
            Position{0} - epoch,
            divider::make(epoch),
            plan.epochs};
  }
};

}  // namespace negpipe::cuda
