// Four neighbouring positions at once: the same points as core::point_at at the cost of one random block, with prepared
// divisors and overlapping reads. A device thread makes four points. Tests compare host and device with point_at.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bits.hpp"
#include "first_candidates.hpp"
#include "neighbour_plan.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/core/training.hpp"
#include "packed_positives.hpp"

namespace negpipe::cuda {

/// Four points.
struct neighbours {
  std::int32_t user[4];
  std::int32_t item[4];     ///< in the lowest Layout::item_bits, as packed_entry::item()
  std::uint32_t labels;     ///< byte j is the label of point j
  std::uint32_t unsettled;  ///< bit j: item j is its first candidate and may be a positive
};

/// Applies a plan's network once, with the given number of half rounds, to several digits.
template <std::size_t rounds, std::size_t count>
NEGPIPE_HD void pass(core::digits radices, const std::uint32_t (&key)[rounds], core::digits (&digit)[count]) {
  NEGPIPE_UNROLL
  for (std::size_t i = 0; i < rounds; i += 2) {
    NEGPIPE_UNROLL
    for (auto& d : digit) d = core::permutation::double_round(d, radices, key[i], key[i + 1]);
  }
}

/// Returns the images of positions first .. first + 3 under the cycle's permutation.
template <typename Position>
NEGPIPE_HD void permute_neighbours(const neighbour_plan<Position>& plan, const core::permutation& order, Position first,
                                   Position (&image)[4]) {
  std::uint32_t key[neighbour_plan<Position>::rounds];
  NEGPIPE_UNROLL
  for (int i = 0; i < neighbour_plan<Position>::rounds; ++i) key[i] = order.word[i];
  const core::digits radices = plan.radices;
  const Position left = plan.by_right_radix(first);
  const auto right = static_cast<std::uint32_t>(first + left * plan.minus_right_radix);
  core::digits digit[4];
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) digit[j] = {static_cast<std::uint32_t>(left), right + j};
  pass(radices, key, digit);
  Position greatest = 0;
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    image[j] = static_cast<Position>(digit[j].left) * radices.right + digit[j].right;
    greatest = image[j] > greatest ? image[j] : greatest;
  }
  if (right + 3 < radices.right && greatest < plan.point_count) return;
  // Rare: the right digit is carried within the four, or an image lies past the end and cycle walking continues.
  std::uint32_t left_over = 0;
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    left_over |= (right + j >= radices.right || image[j] >= plan.point_count ? 1U : 0U) << j;
  }
  NEGPIPE_ROLLED
  for (; left_over != 0; left_over &= left_over - 1) {
    const std::uint32_t this_one = left_over & (0U - left_over);
    core::digits one[1] = {};
    NEGPIPE_UNROLL  // by selection, to keep digits and images in registers
        for (std::uint32_t j = 0; j < 4; ++j) {
      if (this_one != 1U << j) continue;
      const bool is_carried = right + j >= radices.right;
      one[0] = is_carried ? core::digits{static_cast<std::uint32_t>(left) + 1, right + j - radices.right} : digit[j];
    }
    Position x = 0;
    do {
      pass(radices, key, one);
      x = static_cast<Position>(one[0].left) * radices.right + one[0].right;
    } while (x >= plan.point_count);
    NEGPIPE_UNROLL
    for (std::uint32_t j = 0; j < 4; ++j) image[j] = this_one == 1U << j ? x : image[j];
  }
}

/// Returns the users and items of words that could not be packed.
template <typename Position, typename Layout>
NEGPIPE_HD void look_up_irregular(const packed_entry<Layout> (&entry)[4], const Position (&positive)[4],
                                  const core::csr_view& csr, std::int32_t (&user)[4], std::int32_t (&item)[4]) {
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    if (entry[j].regular()) continue;
    user[j] = index(csr.user_of(positive[j]));
    item[j] = csr.positive_items[positive[j]];
  }
}

/// Makes labels and items of four points with known users: their own items, or the first candidates. Leaves negatives
/// whose first word is rejected unsettled, as if the candidate were a positive of the user.
template <typename Position, typename ItemDraw, typename Membership>
NEGPIPE_HD void draw_first(const neighbour_plan<Position>& plan, const ItemDraw& item_draw, const Position (&image)[4],
                           const std::int32_t (&own)[4], const core::random_block& block, const Membership& membership,
                           neighbours& out) {
  std::uint32_t label[4];
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) label[j] = image[j] < plan.positive_count ? 1U << 8 * j : 0;
  const first_candidates<ItemDraw> first(item_draw, block, label);
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    out.labels |= label[j];
    const std::uint32_t doubt = membership.ask(user_id{out.user[j]}, first.item[j], label[j]);
    out.unsettled = with_bit(out.unsettled, j, doubt);
    out.item[j] = label[j] != 0 ? own[j] : first.item[j];
  }
  if (!first.has_rejected()) return;
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    if (label[j] != 0 || !first.is_rejected(j)) continue;
    out.item[j] = own[j];
    out.unsettled |= 1U << j;
  }
}

/// Makes points 4 * quad .. 4 * quad + 3 of a cycle, all below plan.point_count, from words packed in the Layout.
/// item_draw: see first_candidates.
/// membership.ask(user, item, label) answers in its lowest bit: 0 if label is not 0 or the item is certainly not a
/// positive of the user, else 1.
template <typename Layout, typename Position, typename ItemDraw, typename Membership, typename Source>
NEGPIPE_HD neighbours points_at(const neighbour_plan<Position>& plan, const ItemDraw& item_draw,
                                const core::cycle_key& key, const packed_word* packed, const core::csr_view& csr,
                                const Membership& membership, Position quad, Source source) {
  Position image[4];
  permute_neighbours(plan, key.order, 4 * quad, image);
  if (plan.epochs > 1) {
    NEGPIPE_UNROLL
    for (int j = 0; j < 4; ++j) image[j] += plan.by_epoch(image[j]) * plan.minus_epoch_points;
  }
  packed_entry<Layout> entry[4];
  Position positive[4];
  std::uint32_t any_part = 0;
  constexpr auto by_word = neighbour_plan<Position>::divider::make(Layout::per_word);
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    positive[j] = image[j] + plan.by_positives(image[j]) * plan.minus_positive_count;
    const Position word = by_word(positive[j]);
    entry[j] = {load_word(packed, word), static_cast<std::uint32_t>(positive[j] - word * Layout::per_word)};
    any_part |= entry[j].word.part[0];
  }
  // The random block is computed while the words are being read.
  const auto block = source(core::make_counter(core::tag::train_draw, key.cycle, quad, 0));
  neighbours out{};
  std::int32_t own[4];
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) {
    out.user[j] = index(entry[j].user());
    own[j] = entry[j].item();
  }
  if ((any_part & packed_word::irregular) != 0) look_up_irregular(entry, positive, csr, out.user, own);
  draw_first(plan, item_draw, image, own, block, membership, out);
  return out;
}

}  // namespace negpipe::cuda
