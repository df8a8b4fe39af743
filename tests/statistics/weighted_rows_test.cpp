// Distinct evaluation negatives by weight are drawn one after the other, each in proportion to the weights of the items
// that are left, independently of other users; and every broken sampler is caught.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/philox.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "statistics/support/goodness.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

constexpr std::int32_t item_count = 9;
constexpr std::int32_t user_count = 60'000;
constexpr std::int32_t heldout = 3;
constexpr std::int32_t first_left = 4;  // the items left are 4 to 8
/// Most of the weight is the user's own, so that all three stages of a draw occur.
const std::vector<std::uint32_t> item_values{900, 0, 1, 500, 10, 20, 0, 40, 5};

using row = std::array<std::int32_t, 3>;
using row_sampler = std::function<row(std::int32_t user)>;

/// Users with the same items, so that their rows have one distribution.
struct fixture {
  dataset data = make_dataset(std::vector<std::vector<std::int32_t>>(user_count, {0, 1, 2}),
                              std::vector<std::int32_t>(user_count, heldout), item_count);
  positives_index index{data};
  item_weights values{item_values};
  dataset_weights weights = dataset_weights::for_evaluation(data, values);
  evaluation_plan plan = make_plan();

  evaluation_plan make_plan() const {
    const evaluation_options options{.negatives = 3, .batch_size = 4, .weights = values};
    evaluation_plan made = plan_evaluation(data, options, 42);
    made.weights = *weights.draw();
    return made;
  }
};

const fixture& fixed() {
  static const fixture all;
  return all;
}

row real_row(std::int32_t user) {
  std::array<std::int32_t, 4> items{};
  core::write_row(fixed().plan, fixed().index.view(), user_id{user}, core::philox_source{42}, items.data());
  return {items[1], items[2], items[3]};
}

/// Mutant: the uniform row of items of positive weight.
row weights_ignored(std::int32_t user) {
  const auto uniform = core::evaluation_row::make(fixed().index.view(), user_id{user}, core::philox_source{42});
  row items{};
  std::uint32_t rank = 0;
  for (std::int32_t& item : items) {
    do item = uniform.negative(rank++);
    while (item_values[static_cast<std::size_t>(item)] == 0);
  }
  return items;
}

/// Draws a row that takes items before it begins.
row row_without(std::int32_t user, const std::vector<std::int32_t>& excluded, std::uint64_t first) {
  row items{};
  for (std::uint32_t k = 0; k < 3; ++k) {
    const core::taken_items taken{excluded.data(), static_cast<std::uint32_t>(excluded.size()), items.data(), k};
    items[k] = core::draw_free(fixed().index.view(), user_id{user}, fixed().plan.weights, core::evaluation_stream(),
                               first + k, taken, core::philox_source{42});
  }
  return items;
}

/// Mutant: the held-out item is drawn too.
row heldout_drawn(std::int32_t user) { return row_without(user, {}, static_cast<std::uint64_t>(user) * 4 + 1); }

/// Mutant: the user is not among the counter's words, so that every user has the same draws.
row one_row_for_all(std::int32_t user) { return row_without(user, {heldout}, 1); }

/// Mutant: a user's row begins one element after that of the user before.
row rows_that_overlap(std::int32_t user) { return row_without(user, {heldout}, static_cast<std::uint64_t>(user)); }

/// Mutant: a row is sorted, as by numpy.unique.
row sorted_row(std::int32_t user) {
  row items = real_row(user);
  std::ranges::sort(items);
  return items;
}

double weight_of(std::int32_t item) { return item_values[static_cast<std::size_t>(item)]; }

/// Returns the probability of a row: the product of each item's share of the weights that are left.
double chance_of(const row& items) {
  double left = 0;
  for (std::int32_t item = first_left; item < item_count; ++item) left += weight_of(item);
  double chance = 1;
  for (std::size_t k = 0; k < items.size(); ++k) {
    if (std::find(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(k), items[k]) !=
        items.begin() + static_cast<std::ptrdiff_t>(k)) {
      return 0;
    }
    chance *= weight_of(items[k]) / left;
    left -= weight_of(items[k]);
    if (left == 0) left = 1;
  }
  return chance;
}

/// Counts of pairs of items of neighbouring users: the k-th of one, the first of the next.
p_value neighbours(const std::string& name, const std::vector<row>& rows, std::size_t k) {
  std::vector<double> kth(item_count, 0);
  std::vector<double> first(item_count, 0);
  for (std::int32_t a = first_left; a < item_count; ++a) {
    for (std::int32_t b = first_left; b < item_count; ++b) {
      for (std::int32_t c = first_left; c < item_count; ++c) {
        const row items{a, b, c};
        kth[static_cast<std::size_t>(items[k])] += chance_of(items);
        first[static_cast<std::size_t>(a)] += chance_of(items);
      }
    }
  }
  std::vector<std::uint64_t> found(item_count * item_count, 0);
  std::vector<double> expected;
  for (std::size_t user = 0; user + 1 < rows.size(); user += 2) {
    ++found[static_cast<std::size_t>(rows[user][k] * item_count + rows[user + 1][0])];
  }
  for (const double a : kth) {
    for (const double b : first) expected.push_back(a * b * user_count / 2);
  }
  return chi_squared_test(name, found, expected);
}

p_values tests_of(const row_sampler& sample) {
  std::vector<row> rows;
  for (std::int32_t user = 0; user < user_count; ++user) rows.push_back(sample(user));
  constexpr std::size_t all = item_count * item_count * item_count;
  std::vector<std::uint64_t> found(all, 0);
  std::vector<double> expected(all, 0);
  const auto cell = [](const row& items) {
    return static_cast<std::size_t>((items[0] * item_count + items[1]) * item_count + items[2]);
  };
  for (const row& items : rows) ++found[cell(items)];
  for (std::int32_t a = first_left; a < item_count; ++a) {
    for (std::int32_t b = first_left; b < item_count; ++b) {
      for (std::int32_t c = first_left; c < item_count; ++c) {
        expected[cell({a, b, c})] = chance_of({a, b, c}) * user_count;
      }
    }
  }
  return {chi_squared_test("rows", found, expected), neighbours("first items", rows, 0),
          neighbours("second and first items", rows, 1)};
}

TEST(weighted_rows, are_drawn_one_after_the_other_and_independent_between_users) {
  EXPECT_TRUE(consistent(tests_of(real_row)));
}

TEST(weighted_rows, counts_catch_the_mutants) {
  EXPECT_FALSE(consistent(only("rows", tests_of(weights_ignored))));
  EXPECT_FALSE(consistent(only("rows", tests_of(heldout_drawn))));
  EXPECT_FALSE(consistent(only("rows", tests_of(sorted_row))));
  EXPECT_FALSE(consistent(only("first items", tests_of(one_row_for_all))));
  EXPECT_FALSE(consistent(only("second and first items", tests_of(rows_that_overlap))));
}

}  // namespace
}  // namespace negpipe::test
