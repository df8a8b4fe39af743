// Negatives of the pairwise layout: uniform outside the user's positives, and independent within a row, between rows,
// cycles and layouts. negatives_test covers the draw itself; these tests cover its index and its tags.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "negpipe/core/pairwise.hpp"
#include "statistics/support/goodness.hpp"
#include "statistics/support/mutants.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::test {
namespace {

using core::positives_view;

constexpr std::uint32_t negatives_per_row = 6;

/// Negative k of a row of a user.
using pair_sampler = std::int32_t (*)(const positives_view&, user_id, std::uint32_t cycle, std::uint64_t row,
                                      std::uint32_t k);

std::int32_t draw(const positives_view& view, user_id user, core::draw_stream stream, std::uint64_t index) {
  return core::draw_negative(view, user, mutants::all_items(view), stream, index, core::philox_source{42});
}

std::int32_t real(const positives_view& view, user_id user, std::uint32_t cycle, std::uint64_t row, std::uint32_t k) {
  return draw(view, user, core::pair_stream(cycle), row * negatives_per_row + k);
}

// ---- mutants

std::int32_t exclusion_off(const positives_view& view, user_id, std::uint32_t cycle, std::uint64_t row,
                           std::uint32_t k) {
  const std::uint64_t index = row * negatives_per_row + k;
  const auto block = core::philox4x32_10(core::make_counter(core::tag::pair_draw, cycle, index / 4, 0), 42);
  std::uint32_t item = 0;
  mutants::all_items(view)(block.any(index), item);
  return static_cast<std::int32_t>(item);
}

/// The pointwise layout's stream: point i and negative i of the rows are the same draw.
std::int32_t stream_of_the_points(const positives_view& view, user_id user, std::uint32_t cycle, std::uint64_t row,
                                  std::uint32_t k) {
  return draw(view, user, mutants::stream_of(cycle), row * negatives_per_row + k);
}

/// All negatives of a row are one draw.
std::int32_t one_draw_a_row(const positives_view& view, user_id user, std::uint32_t cycle, std::uint64_t row,
                            std::uint32_t) {
  return draw(view, user, core::pair_stream(cycle), row);
}

/// Neighbouring rows share all draws but one.
std::int32_t overlapping_rows(const positives_view& view, user_id user, std::uint32_t cycle, std::uint64_t row,
                              std::uint32_t k) {
  return draw(view, user, core::pair_stream(cycle), row + k);
}

std::int32_t cycle_ignored(const positives_view& view, user_id user, std::uint32_t, std::uint64_t row,
                           std::uint32_t k) {
  return real(view, user, 0, row, k);
}

// ---- tests

constexpr std::int32_t item_count = 200;
constexpr std::int32_t user_count = 50;

const positives_owner& data() {
  static const positives_owner owner = random_positives(std::vector<std::int32_t>(user_count, 40), item_count, 8);
  return owner;
}

TEST(pairwise, the_sampler_of_these_tests_is_the_layouts) {
  const core::training_plan plan = make_training_plan(
      data(), {.negatives = negatives_per_row, .layout = core::batch_layout::pairwise});
  const core::philox_source source{plan.seed};
  const auto key = core::cycle_key::make(plan, 3, source);
  for (std::uint64_t i = 0; i < plan.point_count; ++i) {
    const core::pair_row row = core::pair_at(plan, key, data().view(), i, source);
    for (std::uint32_t k = 0; k < negatives_per_row; ++k) {
      ASSERT_EQ(index(core::pair_negative(plan, key, data().view(), row, k, source)),
                real(data().view(), row.user, 3, i, k));
    }
  }
}

/// Each negative of the rows alone, by rank outside the user's positives; the last cell counts all other draws.
p_values uniformity(pair_sampler sample) {
  const positives_view view = data().view();
  p_values all;
  for (std::uint32_t k = 0; k < negatives_per_row; ++k) {
    std::vector<std::uint64_t> counts(item_count - 40, 0);
    std::uint64_t positives = 0;
    for (std::uint64_t i = 0; i < 40'000; ++i) {
      const user_id user{static_cast<std::int32_t>(i % user_count)};
      const std::int32_t item = sample(view, user, 0, i, k);
      const core::item_row row = view.csr.row(user);
      if (row.contains(item)) {
        ++positives;
      } else {
        ++counts[static_cast<std::uint32_t>(item) - row.count_below(item)];
      }
    }
    all.push_back(uniform_test("negative " + std::to_string(k), counts));
    all.push_back({"positives drawn", positives == 0 ? 1.0 : 0.0});
  }
  return all;
}

TEST(pairwise, negatives_are_uniform_outside_the_users_positives) {
  EXPECT_TRUE(consistent(uniformity(real)));
  EXPECT_FALSE(consistent(uniformity(exclusion_off)));
}

/// The ranks of two draws, in 16 bins of equal width each.
using rank_pair = std::function<std::pair<std::int32_t, std::int32_t>(const positives_view&, user_id, std::uint64_t)>;

p_value joint(const std::string& name, const rank_pair& pair) {
  const positives_view view = data().view();
  std::vector<std::uint64_t> counts(256, 0);
  for (std::uint64_t i = 0; i < 50'000; ++i) {
    const user_id user{static_cast<std::int32_t>(i * 7 % user_count)};
    const auto bin = [&](std::int32_t item) {
      return (static_cast<std::uint32_t>(item) - view.csr.row(user).count_below(item)) / 10;
    };
    const auto [a, b] = pair(view, user, i);
    ++counts[bin(a) * 16 + bin(b)];
  }
  return uniform_test(name, counts);
}

p_values independence(pair_sampler sample) {
  const auto two = [&](const char* name, std::uint32_t cycle, std::uint64_t row, std::uint32_t a, std::uint32_t b) {
    return joint(name, [=](const positives_view& view, user_id user, std::uint64_t i) {
      return std::pair(sample(view, user, 0, i, a), sample(view, user, cycle, i + row, b));
    });
  };
  p_values all{two("first and second of a row", 0, 0, 0, 1), two("first and fifth of a row", 0, 0, 0, 4),
               two("neighbouring rows", 0, 1, 3, 3), two("last of a row, first of the next", 0, 1, 5, 0),
               two("first and second of the next row", 0, 1, 1, 0), two("next cycle", 1, 0, 2, 2)};
  all.push_back(joint("point with the index of the draw", [&](const positives_view& view, user_id user,
                                                              std::uint64_t i) {
    const std::uint64_t position = i * negatives_per_row + 2;
    return std::pair(mutants::real_negative(view, user, 42, 0, position), sample(view, user, 0, i, 2));
  }));
  all.push_back(joint("point with the index of the row", [&](const positives_view& view, user_id user,
                                                             std::uint64_t i) {
    return std::pair(mutants::real_negative(view, user, 42, 0, i), sample(view, user, 0, i, 2));
  }));
  return all;
}

TEST(pairwise, negatives_of_rows_cycles_and_layouts_are_independent) {
  EXPECT_TRUE(consistent(independence(real)));
  EXPECT_FALSE(consistent(independence(stream_of_the_points)));
  EXPECT_FALSE(consistent(independence(one_draw_a_row)));
  EXPECT_FALSE(consistent(independence(overlapping_rows)));
  EXPECT_FALSE(consistent(independence(cycle_ignored)));
}

}  // namespace
}  // namespace negpipe::test
