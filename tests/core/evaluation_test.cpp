// Evaluation rows: the held-out item, then negatives: distinct and outside the positives and the held-out item, or, for
// MLPerf, with replacement and outside the training positives only.
#include "negpipe/core/evaluation.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace negpipe::core
