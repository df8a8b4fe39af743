// Four neighbouring positions at once: the same points as point_at, for the price of one random block, with the
// divisions prepared and the reads of all four under way together. A device thread makes four; tests hold the host's
// and the device's answers to point_at.
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/bounded.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/divide.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/packed_positives.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::core {

/// Division of positions of one width.
template <typename Position>
struct position_divider;
template <>
struct position_divider<std::uint32_t> {
  using type = divider32;
};
template <>
struct position_divider<std::uint64_t> {
  using type = divider64;
};

/// What the points of a plan need, prepared for positions of one width. std::uint32_t serves plans of fewer than
/// 2^31 points, with half the arithmetic. Trivially copyable.
template <typename Position>
struct neighbour_plan {
  using divider = typename position_divider<Position>::type;
  static constexpr int rounds = permutation::rounds_for(permutation::max_size);

  Position point_count;
  Position positive_count;
  divider by_right_radix;
  divider by_positives;
  divider by_packed_word;
  std::uint32_t slots;       ///< 1 + K
  std::uint32_t epochs;
  bounded32 item_draw;

  static constexpr std::uint64_t point_limit = sizeof(Position) == 4 ? 1ULL << 31 : permutation::max_size + 1;

  /// Whether a plan's positions fit and its permutation is a network of the usual number of rounds.
  static NEGPIPE_HD constexpr bool covers(const training_plan& plan) {
    return plan.point_count < point_limit && plan.point_count > permutation::small_size &&
           permutation::rounds_for(plan.point_count) == rounds;
  }

  /// For a plan that is covered.
  static NEGPIPE_HD constexpr neighbour_plan make(const training_plan& plan, const packed_layout& layout) {
    return {static_cast<Position>(plan.point_count),
            static_cast<Position>(plan.positive_count),
            divider::make(permutation::radices_for(plan.point_count).right),
            divider::make(static_cast<Position>(plan.positive_count)),
            divider::make(layout.per_word()),
            plan.negatives + 1,
            plan.epochs,
            plan.item_draw};
  }
};

/// Four points. Bit j of a mask speaks of point j.
struct neighbours {
  std::int32_t user[4];
  std::int32_t item[4];
  std::uint32_t positive;   ///< mask: the label
  std::uint32_t unsettled;  ///< mask: the first candidate was refused or is doubtful; draw_negative settles it
};

/// The images of positions first .. first + 3 under the cycle's permutation.
template <typename Position>
NEGPIPE_HD void permute_neighbours(const neighbour_plan<Position>& plan, const permutation& order, Position first,
                                   Position (&image)[4]) {
  digits digit[4];
  const Position left = plan.by_right_radix(first);
  digit[0] = {static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(first - left * order.right_radix)};
  NEGPIPE_UNROLL
  for (int j = 1; j < 4; ++j) {
    const bool carry = digit[j - 1].right + 1 == order.right_radix;
    digit[j] = {digit[j - 1].left + (carry ? 1 : 0), carry ? 0 : digit[j - 1].right + 1};
  }
  NEGPIPE_UNROLL
  for (int i = 0; i < neighbour_plan<Position>::rounds; i += 2) {
    NEGPIPE_UNROLL
    for (auto& d : digit) {
      d = order.double_round(d, order.word[i], order.word[i + 1]);
    }
  }
  bool outside = false;
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    image[j] = static_cast<Position>(digit[j].left) * order.right_radix + digit[j].right;
    outside |= image[j] >= plan.point_count;
  }
  if (outside) {
    NEGPIPE_UNROLL
    for (auto& x : image) {
      if (x >= plan.point_count) x = static_cast<Position>(order(x));
    }
  }
}

/// Points first .. first + 3 of a cycle; first is a multiple of 4 and first + 3 < plan.point_count.
/// Membership(user, item) says false only of items that are certainly not among the user's positives.
template <typename Position, typename Membership, typename Source>
NEGPIPE_HD neighbours points_at(const neighbour_plan<Position>& plan, const cycle_key& key,
                                const packed_view& packed, const csr_view& csr, Membership membership,
                                Position first, Source source) {
  Position image[4];
  permute_neighbours(plan, key.order, first, image);
  neighbours out{};
  packed_entry entry[4];
  Position positive[4];
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    const Position slot = plan.by_positives(image[j]);
    positive[j] = image[j] - slot * plan.positive_count;
    const bool is_positive = slot == 0 || (plan.epochs > 1 && slot % plan.slots == 0);
    out.positive |= (is_positive ? 1U : 0U) << j;
    const Position word = plan.by_packed_word(positive[j]);
    entry[j] = {packed.words[word], static_cast<std::uint32_t>(positive[j] - word * packed.layout.per_word())};
  }
  const auto block = source(make_counter(tag::train_draw, key.cycle, first / 4, 0));
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    user_id user = entry[j].user(packed.layout);
    std::int32_t own = entry[j].item(packed.layout);
    if (!entry[j].regular()) {
      user = csr.user_of(positive[j]);
      own = csr.positive_items[positive[j]];
    }
    std::uint32_t candidate = 0;
    const bool accepted = plan.item_draw(block.word[j], candidate);
    const bool is_positive = (out.positive >> j & 1U) != 0;
    out.user[j] = index(user);
    out.item[j] = is_positive ? own : static_cast<std::int32_t>(candidate);
    if (!is_positive && (membership(user, out.item[j]) || !accepted)) out.unsettled |= 1U << j;
  }
  return out;
}

}  // namespace negpipe::core
