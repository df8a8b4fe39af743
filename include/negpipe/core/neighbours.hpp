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

/// Divides x < 2^31 by a divisor of at least 2: divider32 with the doubling of x folded into the shift.
struct reciprocal32 {
  std::uint32_t magic;
  std::uint32_t shift;

  static NEGPIPE_HD constexpr reciprocal32 make(std::uint32_t divisor) {
    const auto exact = divider32::make(divisor);
    return {exact.magic, exact.shift - 1};
  }
  NEGPIPE_HD constexpr std::uint32_t operator()(std::uint32_t x) const { return mul_hi(magic, x) >> shift; }
};
static_assert(reciprocal32::make(2)(0x7FFFFFFFU) == 0x3FFFFFFFU && reciprocal32::make(10)(99) == 9);

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
/// 2^31 points, with half the arithmetic. Trivially copyable.
template <typename Position>
struct neighbour_plan {
  using divider = typename position_divider<Position>::type;
  static constexpr int rounds = permutation::rounds_for(permutation::max_size);
  static constexpr std::uint64_t point_limit = sizeof(Position) == 4 ? 1ULL << 31 : permutation::max_size + 1;

  Position point_count;
  Position positive_count;
  Position minus_positive_count;  ///< negated, so that one multiply-and-add makes a remainder
  Position minus_epoch_points;    ///< P * (1 + K), likewise
  std::uint32_t minus_per_word;   ///< positives a packed word, likewise
  std::uint32_t epochs;
  divider by_right_radix;
  divider by_positives;
  divider by_epoch;
  divider by_packed_word;
  bounded32 item_draw;

  /// Whether a plan's positions fit and its permutation is a network of the usual number of rounds.
  static NEGPIPE_HD constexpr bool covers(const training_plan& plan, const packed_layout& layout) {
    return plan.point_count < point_limit && plan.point_count > permutation::small_size &&
           permutation::rounds_for(plan.point_count) == rounds && plan.positive_count >= 2 && layout.per_word >= 2;
  }

  /// For a plan that is covered.
  static NEGPIPE_HD constexpr neighbour_plan make(const training_plan& plan, const packed_layout& layout) {
    const auto positives = static_cast<Position>(plan.positive_count);
    const auto epoch = static_cast<Position>(plan.point_count / plan.epochs);
    return {static_cast<Position>(plan.point_count),
            positives,
            Position{0} - positives,
            Position{0} - epoch,
            0U - layout.per_word,
            plan.epochs,
            divider::make(permutation::radices_for(plan.point_count).right),
            divider::make(positives),
            divider::make(epoch),
            divider::make(layout.per_word),
            plan.item_draw};
  }
};

/// Four points. Bit j of a mask speaks of point j.
struct neighbours {
  std::int32_t user[4];
  std::int32_t item[4];
  std::uint32_t positive;   ///< mask: the label
  std::uint32_t unsettled;  ///< mask: item is the first candidate, which may be a positive
  std::uint32_t rejected;   ///< mask, within unsettled: the first candidate's word was rejected, item means nothing
};

/// The images of positions first .. first + 3 under the cycle's permutation.
template <typename Position>
NEGPIPE_HD void permute_neighbours(const neighbour_plan<Position>& plan, const permutation& order, Position first,
                                   Position (&image)[4]) {
  digits digit[4];
  const Position left = plan.by_right_radix(first);
  digit[0] = {static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(first - left * order.right_radix)};
  NEGPIPE_UNROLL
  for (std::uint32_t j = 1; j < 4; ++j) digit[j] = {digit[0].left, digit[0].right + j};
  if (digit[3].right >= order.right_radix) {  // rare: the right digit is carried within the four
    NEGPIPE_UNROLL
    for (auto& d : digit) {
      if (d.right >= order.right_radix) d = {d.left + 1, d.right - order.right_radix};
    }
  }
  NEGPIPE_UNROLL
  for (int i = 0; i < neighbour_plan<Position>::rounds; i += 2) {
    NEGPIPE_UNROLL
    for (auto& d : digit) {
      d = order.double_round(d, order.word[i], order.word[i + 1]);
    }
  }
  Position greatest = 0;
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    image[j] = static_cast<Position>(digit[j].left) * order.right_radix + digit[j].right;
    greatest = image[j] > greatest ? image[j] : greatest;
  }
  if (greatest >= plan.point_count) {
    NEGPIPE_UNROLL
    for (auto& x : image) {
      if (x >= plan.point_count) x = static_cast<Position>(order(x));
    }
  }
}

/// Users and items of words that could not be packed.
template <typename Position>
NEGPIPE_HD void look_up_irregular(const packed_entry (&entry)[4], const Position (&positive)[4], const csr_view& csr,
                                  std::int32_t (&user)[4], std::int32_t (&item)[4]) {
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    if (entry[j].regular()) continue;
    user[j] = index(csr.user_of(positive[j]));
    item[j] = csr.positive_items[positive[j]];
  }
}

/// Marks the negatives whose first word the bounded draw rejects.
NEGPIPE_HD inline void mark_rejected(bounded32 item_draw, const random_block& block, neighbours& out) {
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    std::uint32_t ignored = 0;
    if (!item_draw(block.word[j], ignored)) out.rejected |= 1U << j;
  }
  out.rejected &= ~out.positive;
  out.unsettled |= out.rejected;
}

/// Points first .. first + 3 of a cycle; first is a multiple of 4 and first + 3 < plan.point_count.
/// Membership(user, item) says false only of items that are certainly not among the user's positives.
template <typename Position, typename Membership, typename Source>
NEGPIPE_HD neighbours points_at(const neighbour_plan<Position>& plan, const cycle_key& key,
                                const packed_view& packed, const csr_view& csr, Membership membership,
                                Position first, Source source) {
  Position image[4];
  permute_neighbours(plan, key.order, first, image);
  if (plan.epochs > 1) {
    NEGPIPE_UNROLL
    for (int j = 0; j < 4; ++j) image[j] += plan.by_epoch(image[j]) * plan.minus_epoch_points;
  }
  neighbours out{};
  packed_entry entry[4];
  Position positive[4];
  std::uint64_t any_low = 0;
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    positive[j] = image[j] + plan.by_positives(image[j]) * plan.minus_positive_count;
    const Position word = plan.by_packed_word(positive[j]);
    entry[j] = {packed.words[word],
                static_cast<std::uint32_t>(positive[j]) + static_cast<std::uint32_t>(word) * plan.minus_per_word};
    any_low |= entry[j].word.low;
  }
  // The random block is made while the words are on their way.
  const auto block = source(make_counter(tag::train_draw, key.cycle, first / 4, 0));
  std::int32_t own[4];
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    out.user[j] = index(entry[j].user(packed.layout));
    own[j] = entry[j].item(packed.layout);
  }
  if ((any_low & packed_layout::irregular) != 0) look_up_irregular(entry, positive, csr, out.user, own);
  std::uint32_t least = ~0U;
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    std::uint32_t candidate = 0;
    least = lesser(least, plan.item_draw.low_half(block.word[j]));
    plan.item_draw(block.word[j], candidate);
    const bool is_positive = image[j] < plan.positive_count;
    out.item[j] = is_positive ? own[j] : static_cast<std::int32_t>(candidate);
    out.positive |= (is_positive ? 1U : 0U) << j;
    if (!is_positive && membership(user_id{out.user[j]}, out.item[j])) out.unsettled |= 1U << j;
  }
  if (least < plan.item_draw.threshold) mark_rejected(plan.item_draw, block, out);
  return out;
}

}  // namespace negpipe::core
