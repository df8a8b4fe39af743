// Evaluation rows: the held-out item, then negatives: distinct and outside the positives and the held-out item, or, for
// MLPerf, with replacement and outside the training positives only.
#include "negpipe/core/evaluation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::core {
namespace {

using test::positives_owner;

std::uint32_t left_for(const positives_view& view, user_id user) {
  return static_cast<std::uint32_t>(view.item_count) - view.csr.row(user).count - 1;
}

TEST(evaluation, rows_begin_with_the_held_out_item_and_hold_distinct_negatives) {
  for (const std::int32_t items : {41, 64, 97, 300}) {
    const auto owner = test::random_positives(test::edge_degrees(items), items, 5);
    const auto view = owner.view();
    for (std::int32_t u = 0; u < view.user_count; ++u) {
      const user_id user{u};
      const std::uint32_t left = left_for(view, user);
      // All remaining items are requested, so the row must hold each exactly once: E == M_u.
      const auto plan = test::make_evaluation_plan(owner, left, false, 42);
      std::set<std::int32_t> seen;
      for (std::uint32_t column = 0; column <= left; ++column) {
        const std::int32_t item = index(eval_item_at(plan, view, user, column, philox_source{42}));
        ASSERT_EQ(item == view.heldout[u], column == 0);
        ASSERT_FALSE(view.contains(user, item));
        ASSERT_GE(item, 0);
        ASSERT_LT(item, items);
        ASSERT_TRUE(seen.insert(item).second) << "user " << u << ", column " << column;
      }
      ASSERT_EQ(seen.size(), left + 1U);
    }
  }
}

TEST(evaluation, a_shorter_row_is_a_prefix_of_a_longer_one) {
  const auto owner = test::random_positives({3, 10}, 97, 5);
  const auto few = test::make_evaluation_plan(owner, 5, false, 42);
  const auto many = test::make_evaluation_plan(owner, 80, false, 42);
  for (std::uint32_t column = 0; column <= 5; ++column) {
    EXPECT_EQ(eval_item_at(few, owner.view(), user_id{1}, column, philox_source{42}),
              eval_item_at(many, owner.view(), user_id{1}, column, philox_source{42}));
  }
}

TEST(evaluation, ranks_number_the_absent_items_in_order) {
  for (const std::int32_t items : {41, 97}) {
    const auto owner = test::random_positives(test::edge_degrees(items), items, 6);
    const auto view = owner.view();
    for (std::int32_t u = 0; u < view.user_count; ++u) {
      const auto row = evaluation_row::make(view, user_id{u}, philox_source{42});
      std::uint32_t rank = 0;
      for (std::int32_t item = 0; item < items; ++item) {
        if (view.contains(user_id{u}, item) || item == view.heldout[u]) continue;
        ASSERT_EQ(row.item_of_rank(rank++), item);
      }
      ASSERT_EQ(rank, left_for(view, user_id{u}));
    }
  }
}

TEST(evaluation, ten_items_give_999_negatives_with_replacement) {
  const auto owner = test::random_positives({0, 3, 8, 9}, 10, 8);
  const auto view = owner.view();
  const auto plan = test::make_evaluation_plan(owner, 999, true, 42);
  for (std::int32_t u = 0; u < 4; ++u) {
    std::set<std::int32_t> seen;
    for (std::uint32_t column = 0; column < 1000; ++column) {
      const std::int32_t item = index(eval_item_at(plan, view, user_id{u}, column, philox_source{42}));
      if (column == 0) {
        ASSERT_EQ(item, view.heldout[u]);
        continue;
      }
      ASSERT_FALSE(view.contains(user_id{u}, item));
      seen.insert(item);
    }
    EXPECT_EQ(seen.size(), left_for(view, user_id{u}) + 1U) << "every item outside the positives, the held-out one too";
  }
}

TEST(evaluation, with_replacement_each_element_is_the_draw_of_its_index) {
  const auto owner = test::random_positives({4, 7}, 97, 8);
  const auto plan = test::make_evaluation_plan(owner, 20, true, 42);
  const draw_stream stream{tag::eval_draw, tag::eval_fallback, 0};
  for (std::uint32_t column = 1; column <= 20; ++column) {
    EXPECT_EQ(index(eval_item_at(plan, owner.view(), user_id{1}, column, philox_source{42})),
              draw_negative(owner.view(), user_id{1}, plan.item_draw, stream, 21 + column, philox_source{42}));
  }
}

/// Weights of 97 items in tables that need no rounding: item i has weight i mod 4, of words below 2^25 each.
class weighted_items {
 public:
  explicit weighted_items(const positives_owner& data) : columns_(128), sums_{0} {
    // A column of 2^25 words for each unit of weight that fits: columns_[i] belongs to item i or i + 1.
    for (std::uint32_t i = 0; i < 97; ++i) sums_.push_back(sums_.back() + i % 4);
    std::uint32_t item = 0;
    for (std::uint32_t column = 0; column < columns_.size(); ++column) {
      do item = (item + 1) % 97;
      while (item % 4 == 0);
      columns_[column] = {column << 25, item};  // all words belong to the alias
    }
    for (std::int32_t u = 0; u < data.view().user_count; ++u) {
      const item_row row = data.view().csr.row(user_id{u});
      std::uint32_t sum = 0;
      for (std::uint32_t k = 0; k < row.count; ++k) row_sums_.push_back(sum += weight_of(row.items[k]));
    }
  }

  static std::uint32_t weight_of(std::int32_t item) { return static_cast<std::uint32_t>(item) % 4; }

  /// Returns the plan with these weights.
  evaluation_plan in(evaluation_plan plan) const {
    plan.weights = {columns_.data(), sums_.data(), row_sums_.data(), 97, 25};
    plan.weighted_items = 72;
    return plan;
  }

 private:
  std::vector<alias_column> columns_;
  std::vector<std::uint32_t> sums_;
  std::vector<std::uint32_t> row_sums_;
};

std::vector<std::int32_t> row_of(const evaluation_plan& plan, const positives_view& view, user_id user) {
  std::vector<std::int32_t> row(plan.row_length());
  write_row(plan, view, user, philox_source{plan.seed}, row.data());
  return row;
}

/// Returns the users of a dataset from one on, as a shard has them. Uses the dataset's memory, but not its bitsets.
positives_view users_from(positives_view view, std::int32_t first) {
  view.csr.user_offsets += first;
  view.heldout += first;
  view.user_count -= first;
  view.form = membership::sorted_search;
  return view;
}

TEST(evaluation, rows_of_a_shard_are_those_of_the_whole_dataset) {
  const auto owner = test::random_positives({3, 10, 25, 7, 40}, 97, 5);
  const auto weights = weighted_items(owner);
  for (const bool with_replacement : {false, true}) {
    const evaluation_plan uniform = test::make_evaluation_plan(owner, 20, with_replacement, 42);
    for (const evaluation_plan& plan : {uniform, weights.in(uniform)}) {
      for (const std::int32_t first : {1, 2, 3}) {
        evaluation_plan of_shard = plan;
        of_shard.first_user = static_cast<std::uint64_t>(first);
        of_shard.user_count -= of_shard.first_user;
        for (std::int32_t u = first; u < owner.view().user_count; ++u) {
          EXPECT_EQ(row_of(of_shard, users_from(owner.view(), first), user_id{u - first}),
                    row_of(plan, owner.view(), user_id{u}));
        }
      }
    }
  }
}

TEST(evaluation, weighted_rows_hold_every_item_of_positive_weight_that_is_left_once) {
  const auto owner = test::random_positives(test::edge_degrees(97), 97, 5);
  const weighted_items weights(owner);
  const auto view = owner.view();
  for (std::int32_t u = 0; u < view.user_count; ++u) {
    std::set<std::int32_t> wanted;
    for (std::int32_t item = 0; item < 97; ++item) {
      const bool is_left = item % 4 != 0 && !view.contains(user_id{u}, item) && item != view.heldout[u];
      if (is_left) wanted.insert(item);
    }
    const auto left = static_cast<std::uint32_t>(wanted.size());
    auto plan = weights.in(test::make_evaluation_plan(owner, left + 3, false, 42));
    ASSERT_EQ(items_left(plan, view, user_id{u}), left);
    ASSERT_FALSE(is_evaluated(plan, view, static_cast<std::uint64_t>(u)));
    plan.fewer = true;
    ASSERT_EQ(is_evaluated(plan, view, static_cast<std::uint64_t>(u)), left != 0);
    if (left == 0) continue;
    const std::vector<std::int32_t> row = row_of(plan, view, user_id{u});
    ASSERT_EQ(row[0], view.heldout[u]);
    ASSERT_EQ(std::set(row.begin() + 1, row.begin() + 1 + left), wanted);
    for (std::uint32_t c = left + 1; c < row.size(); ++c) ASSERT_EQ(row[c], row[c - left]) << "repeats in order";
  }
}

TEST(evaluation, by_weight_a_shorter_row_is_a_prefix_of_a_longer_one_of_the_same_elements) {
  const auto owner = test::random_positives({10}, 97, 5);
  const weighted_items weights(owner);
  const auto few = row_of(weights.in(test::make_evaluation_plan(owner, 5, false, 42)), owner.view(), user_id{0});
  const auto many = row_of(weights.in(test::make_evaluation_plan(owner, 40, false, 42)), owner.view(), user_id{0});
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

TEST(evaluation, weighted_rows_with_replacement_need_one_item_of_positive_weight) {
  std::vector<std::int32_t> heavy;
  for (std::int32_t item = 0; item < 97; ++item) {
    if (item % 4 != 0) heavy.push_back(item);
  }
  const positives_owner owner({heavy, {1, 2}}, {0, 4}, 97);
  const weighted_items weights(owner);
  const auto plan = weights.in(test::make_evaluation_plan(owner, 20, true, 42));
  EXPECT_FALSE(is_evaluated(plan, owner.view(), 0)) << "all that is left weighs 0";
  ASSERT_TRUE(is_evaluated(plan, owner.view(), 1));
  const auto row = row_of(plan, owner.view(), user_id{1});
  for (std::uint32_t c = 1; c <= 20; ++c) {
    EXPECT_EQ(row[c], draw_negative(owner.view(), user_id{1}, plan.weights, evaluation_stream().draws, 21 + c,
                                    philox_source{42}));
  }
}

}  // namespace
}  // namespace negpipe::core
