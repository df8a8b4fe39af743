// Weighted draws are in proportion to the weights of the items outside the user's positives, rows without repeats are
// drawn one after the other, and every broken sampler is caught.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "negpipe/core/free_draw.hpp"
#include "negpipe/core/philox.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/positives.hpp"
#include "statistics/support/goodness.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

constexpr std::int32_t item_count = 60;
constexpr std::uint64_t seed = 42;

std::vector<std::uint32_t> long_tail() {
  std::vector<std::uint32_t> weights;
  for (std::uint32_t i = 0; i < item_count; ++i) weights.push_back(i % 13 == 5 ? 0 : 6000 / (1 + i));
  return weights;
}

/// User 0 has no positives, user 1 a few. User 2 has the items with nearly all the weight: most draws end by rank.
dataset three_users() {
  std::vector<std::int32_t> heavy;
  for (std::int32_t i = 0; i < 55; ++i) heavy.push_back(i);
  return make_dataset({{}, {0, 7, 30}, heavy}, {1, 1, 59}, item_count);
}

struct fixture {
  dataset data = three_users();
  positives_index index{data};
  dataset_weights weights{data, item_weights(long_tail())};
  core::weighted_draw draw = *weights.draw();
};

const fixture& fixed() {
  static const fixture all;
  return all;
}

using weighted_sampler = std::function<std::int32_t(user_id, std::uint64_t element)>;

std::int32_t real_draw(user_id user, std::uint64_t element) {
  return core::draw_free(fixed().index.view(), user, fixed().draw, core::free_stream::for_users(0), element, {},
                         core::philox_source{seed});
}

/// Mutant: draws with other weights.
weighted_sampler with_weights(std::vector<std::uint32_t> weights) {
  const auto other = std::make_shared<dataset_weights>(fixed().data, item_weights(std::move(weights)));
  return [other](user_id user, std::uint64_t element) {
    return core::draw_free(fixed().index.view(), user, *other->draw(), core::free_stream::for_users(0), element, {},
                           core::philox_source{seed});
  };
}

/// Mutant: item i has the weight of item i + 1.
weighted_sampler weights_off_by_one() {
  std::vector<std::uint32_t> weights = long_tail();
  std::rotate(weights.begin(), weights.begin() + 1, weights.end());
  return with_weights(std::move(weights));
}

/// Mutant: popularities of all splits. Each user's held-out item counts too.
weighted_sampler heldout_counted() {
  std::vector<std::uint32_t> weights = long_tail();
  weights[1] += 300;
  weights[59] += 300;
  return with_weights(std::move(weights));
}

/// Mutant: positives are drawn too.
std::int32_t exclusion_off(user_id, std::uint64_t element) { return real_draw(user_id{0}, element); }

/// Mutant: after the candidates, every item that is left is equally likely.
std::int32_t unweighted_fallback(user_id user, std::uint64_t element) {
  const core::positives_view view = fixed().index.view();
  const core::draw_stream stream = core::free_stream::for_users(0).draws;
  for (std::uint32_t attempt = 0; attempt < core::max_draw_attempts; ++attempt) {
    std::int32_t item = 0;
    if (core::try_candidate(view, user, fixed().draw, stream, element, attempt, core::philox_source{seed}, item)) {
      return item;
    }
  }
  return core::draw_outside(view, user, core::bounded32::make(item_count), stream, element, core::philox_source{seed});
}

/// Mutant: column and height are the same bits of the word, so that every column is cut at the same height.
std::int32_t one_cut_for_all(user_id user, std::uint64_t element) {
  const core::positives_view view = fixed().index.view();
  for (std::uint32_t attempt = 0;; ++attempt) {
    const core::counter counter = core::make_counter(core::tag::free_draw, 0, element / 4, attempt);
    const std::uint32_t word = core::philox_source{seed}(counter).any(element);
    std::uint32_t item = 0;
    if (fixed().draw(word >> fixed().draw.shift << fixed().draw.shift | word >> fixed().draw.shift, item) &&
        !view.contains(user, static_cast<std::int32_t>(item))) {
      return static_cast<std::int32_t>(item);
    }
  }
}

p_values per_user(const weighted_sampler& sample) {
  const core::positives_view view = fixed().index.view();
  p_values all;
  for (std::int32_t u = 0; u < view.user_count; ++u) {
    const auto outside = core::items_outside(view, user_id{u}, fixed().draw);
    constexpr std::uint64_t draws = 60'000;
    std::vector<double> expected;
    for (std::int32_t i = 0; i < item_count; ++i) {
      const double weight = outside.row.contains(i) ? 0 : outside.mass_of(i);
      expected.push_back(weight / outside.mass() * static_cast<double>(draws));
    }
    std::vector<std::uint64_t> counts(item_count, 0);
    for (std::uint64_t e = 0; e < draws; ++e) {
      ++counts[static_cast<std::size_t>(sample(user_id{u}, e * 3 + static_cast<std::uint64_t>(u)))];
    }
    all.push_back(chi_squared_test("user " + std::to_string(u), counts, expected));
  }
  return all;
}

TEST(weighted_draws, are_in_proportion_to_the_weights) { EXPECT_TRUE(consistent(per_user(real_draw))); }

TEST(weighted_draws, counts_catch_the_mutants) {
  EXPECT_FALSE(consistent(per_user(weights_off_by_one())));
  EXPECT_FALSE(consistent(per_user(heldout_counted())));
  EXPECT_FALSE(consistent(per_user(exclusion_off)));
  EXPECT_FALSE(consistent(per_user(unweighted_fallback)));
  EXPECT_FALSE(consistent(per_user(one_cut_for_all)));
}

/// A row of two items without repeats, for user 2, who has 5 items left.
using row_sampler = std::function<std::pair<std::int32_t, std::int32_t>(std::uint64_t row)>;

std::pair<std::int32_t, std::int32_t> real_row(std::uint64_t row) {
  const core::positives_view view = fixed().index.view();
  const core::free_stream stream = core::free_stream::for_users(0);
  const core::philox_source source{seed};
  const std::int32_t first = core::draw_free(view, user_id{2}, fixed().draw, stream, 2 * row, {}, source);
  const core::taken_items taken{nullptr, 0, &first, 1};
  return {first, core::draw_free(view, user_id{2}, fixed().draw, stream, 2 * row + 1, taken, source)};
}

/// Mutant: a repeat is replaced by the next item that is left.
std::pair<std::int32_t, std::int32_t> next_after_a_repeat(std::uint64_t row) {
  const std::int32_t first = real_draw(user_id{2}, 2 * row);
  std::int32_t second = real_draw(user_id{2}, 2 * row + 1);
  while (second == first || second < 55) second = second + 1 == item_count ? 55 : second + 1;
  return {first, second};
}

/// Mutant: the row is sorted, as by torch.unique.
std::pair<std::int32_t, std::int32_t> sorted_row(std::uint64_t row) {
  const auto [a, b] = real_row(row);
  return {std::min(a, b), std::max(a, b)};
}

p_value pairs(const row_sampler& sample) {
  constexpr std::uint64_t rows = 50'000;
  const auto outside = core::items_outside(fixed().index.view(), user_id{2}, fixed().draw);
  std::vector<std::uint64_t> counts(25, 0);
  std::vector<double> expected(25, 0);
  for (std::uint64_t row = 0; row < rows; ++row) {
    const auto [a, b] = sample(row);
    ++counts[static_cast<std::size_t>((a - 55) * 5 + b - 55)];
  }
  const double mass = outside.mass();
  for (std::int32_t a = 55; a < 60; ++a) {
    for (std::int32_t b = 55; b < 60; ++b) {
      const double first = outside.mass_of(a);
      const double second = a == b ? 0 : outside.mass_of(b) / (mass - first);
      expected[static_cast<std::size_t>((a - 55) * 5 + b - 55)] = first / mass * second * rows;
    }
  }
  return chi_squared_test("pairs", counts, expected);
}

TEST(weighted_draws, distinct_rows_are_drawn_one_after_the_other_without_replacement) {
  EXPECT_TRUE(consistent({pairs(real_row)}));
  EXPECT_FALSE(consistent({pairs(next_after_a_repeat)}));
  EXPECT_FALSE(consistent({pairs(sorted_row)}));
}

/// Counts of the pairs (element e of call `at`, element e + apart of call at + calls), in 16 bins of equal width.
p_value joint(const std::string& name, core::free_stream a, core::free_stream b, std::uint64_t apart) {
  const core::no_positives nobody{{}, 64};
  const auto draw = core::bounded32::make(64);
  std::vector<std::uint64_t> counts(256, 0);
  for (std::uint64_t e = 0; e < 50'000; ++e) {
    const auto item = [&](core::free_stream stream, std::uint64_t element) {
      return static_cast<std::size_t>(
          core::draw_free(nobody, user_id{0}, draw, stream, element, {}, core::philox_source{seed}) / 4);
    };
    ++counts[item(a, e) * 16 + item(b, e + apart)];
  }
  return uniform_test(name, counts);
}

TEST(free_draws, calls_elements_and_shared_draws_are_independent) {
  const auto users = core::free_stream::for_users;
  EXPECT_TRUE(consistent({joint("neighbours", users(0), users(0), 1), joint("four apart", users(0), users(0), 4),
                          joint("next call", users(0), users(1), 0),
                          joint("shared and not", users(0), core::free_stream::shared(0), 0),
                          joint("training", users(0), {{core::tag::train_draw, core::tag::train_fallback, 0},
                                                       core::tag::free_remaining}, 0)}));
  EXPECT_FALSE(consistent({joint("one stream for two layouts", users(0), users(0), 0)}));
}

}  // namespace
}  // namespace negpipe::test
