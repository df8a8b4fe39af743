// Calls every function of the core from a kernel, so that a host-only one fails to compile. test_every_function.py
// looks for each by name.
#include "negpipe/batch.hpp"
#include "negpipe/core/duplicate_mask.hpp"
#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/free_draw.hpp"
#include "negpipe/core/pairwise.hpp"
#include "negpipe/core/training.hpp"
#include "negpipe/core/weights.hpp"

namespace core = negpipe::core;

__device__ std::uint64_t call_integers(std::uint64_t x) {
  const auto word = static_cast<std::uint32_t>(x);
  const core::product128 product = core::mul_wide64(x, x);
  std::uint64_t sum =
      core::ceil_div(x, 3) + core::mul_wide(word, word) + product.hi + product.lo;
  sum += core::mul_hi(word, word) + core::mul_hi_add(word, word, word);
  sum += core::shift_down(word, 3);
  sum += core::isqrt(x) + core::bit_width(x);
  sum += core::divider32::make(7)(word) + core::divider64::make(x)(9);
  std::uint32_t drawn = 0;
  std::uint64_t drawn64 = 0;
  const auto narrow = core::bounded32::make(word);
  sum += narrow(word, drawn) + narrow.low_half(word) + core::bounded64::make(x)(x, drawn64);
  return sum + drawn + drawn64 + negpipe::item_bytes(negpipe::item_type::int32);
}

__device__ std::uint64_t call_permutation(const core::permutation& order, std::uint64_t x) {
  core::digits d = order.backward(order.forward(order.split(x)));
  d = core::permutation::double_round(d, {order.left_radix, order.right_radix}, 1, 2);
  std::uint64_t sum = order.join(d) + order(x) + order.inverse(x) + order.is_network();
  sum += core::permutation::radices_for(x).left + static_cast<std::uint64_t>(core::permutation::rounds_for(x));
  const core::counter counter = core::permutation::round_key_counter(core::tag::round_keys, 1, x, 2);
  sum += core::permutation::draw_partner(5, core::philox_source{x}, core::tag::round_keys, 1, 0) + counter.word[0];
  return sum + core::permutation::round_function(d.left, d.right, order.left_radix);
}

__device__ std::uint64_t call_positives(const core::positives_view& view, negpipe::user_id user, std::int32_t item) {
  const core::item_row row = view.csr.row(user);
  std::uint64_t sum = row.count_below(item) + row.contains(item) + static_cast<std::uint64_t>(row.kth_absent(3));
  sum += view.contains(user, item) + view.bitset.contains(user, item) + *view.bitset.word_of(user, item);
  sum += core::csr_view::sample_count(sum) + core::bitset_view::row_words(9);
  const auto slot = view.filter.slot_of(user, item);
  sum += core::bloom_filter_view::words_for(sum) + slot.mask() + slot.both_in(3) + view.filter.may_contain(user, item);
  sum += static_cast<std::uint64_t>(core::csr_view::last_user_at(view.csr.user_offsets, 0, 1, sum));
  return sum + static_cast<std::uint64_t>(index(view.csr.user_of(sum)) + core::is_repeat(row.items, 7));
}

template <typename Positives, typename ItemDraw>
__device__ std::uint64_t call_free_draws(const Positives& positives, const ItemDraw& draw, std::int32_t* items) {
  const core::philox_source source{7};
  const negpipe::user_id user{1};
  const core::taken_items taken{items, 2, items + 2, 3};
  const auto outside = core::items_outside(positives, user, draw);
  std::uint64_t sum = outside.mass() + outside.mass_of(items[0]) + outside.mass_below(items[0]);
  sum += static_cast<std::uint64_t>(outside.item_at(3)) + taken.contains(items[0]) + taken.mass(outside, 9);
  sum += core::draw_below(9, core::tag::free_draw, 1, 2, source) + positives.csr.row_start(user);
  sum += positives.contains(user, items[0]) + positives.csr.row(user).count;
  const auto stream = core::free_stream::for_users(3);
  items[0] = core::draw_remaining(outside, taken, stream, 4, source);
  items[1] = core::draw_free(positives, user, draw, core::free_stream::shared(3), 5, taken, source);
  items[2] = core::draw_free(positives, user, draw, core::evaluation_stream(), 6, taken, source);
  return sum;
}

__device__ std::uint64_t call_weights(const core::positives_view& view, const core::weighted_draw& draw,
                                      std::int32_t* items) {
  const core::no_positives nobody{{}, view.item_count};
  const auto uniform = core::bounded32::make(9);
  std::uint64_t sum = call_free_draws(view, draw, items) + call_free_draws(view, uniform, items);
  sum += call_free_draws(nobody, draw, items) + call_free_draws(nobody, uniform, items);
  return sum + core::items_outside(view, negpipe::user_id{1}, draw).row_mass(2) + draw.is_set();
}

__global__ void call_every_function(core::training_plan training, core::evaluation_plan evaluation,
                                    core::positives_view view, core::weighted_draw weights, std::int32_t* items,
                                    std::uint64_t position, std::uint64_t* out) {
  *out++ = call_weights(view, weights, items);
  const core::philox_source source{training.seed};
  const core::counter counter = core::make_counter(core::tag::synth, 1, position, 2);
  *out++ = core::philox4x32_10(counter, training.seed).word[0] + source(counter).any(position);
  const auto key = core::cycle_key::make(training, 1, source);
  const core::point point = core::point_at(training, key, view, training.first_position(position), source);
  const auto user = point.user;
  const core::origin origin = core::origin_of(training, position);
  *out++ = static_cast<std::uint64_t>(index(user) + index(point.item)) + origin.positive;
  *out++ = training.padded_count() + core::resampled_position(training, 1, position, source);
  const core::draw_stream stream{core::tag::train_draw, core::tag::train_fallback, 1};
  *out++ = static_cast<std::uint64_t>(core::draw_negative(view, user, training.item_draw, stream, position, source));
  const core::pair_row pair = core::pair_at(training, key, view, position, source);
  *out++ = static_cast<std::uint64_t>(index(core::pair_negative(training, key, view, pair, 2, source)));
  *out++ = static_cast<std::uint64_t>(core::tags_of(training.layout).draw == core::pair_stream(1).candidates);
  *out++ = static_cast<std::uint64_t>(core::draw_item(training, view, user, stream, position, source));
  std::int32_t item = 0;
  *out++ = core::try_candidate(view, user, training.item_draw, stream, position, 1, source, item);
  *out++ = static_cast<std::uint64_t>(core::draw_outside(view, user, training.item_draw, stream, position, source));
  const auto row = core::evaluation_row::make(view, user, source);
  *out++ = static_cast<std::uint64_t>(row.item_of_rank(1) + row.negative(2));
  *out++ = static_cast<std::uint64_t>(index(core::eval_item_at(evaluation, view, user, 3, source)));
  *out++ = (core::is_evaluated(evaluation, view, 1) ? 1 : 0) + core::items_left(evaluation, view, user);
  core::write_row(evaluation, view, user, source, items);
  *out++ = evaluation.padded_count() + evaluation.element_count() + evaluation.first_element(user);
  *out++ = evaluation.row_length();
  *out++ = call_integers(position) + call_permutation(key.order, position) + call_positives(view, user, 3);
}
