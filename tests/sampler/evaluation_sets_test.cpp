// Evaluation of either held-out set through the sampler: targets, excluded items, users who are left out.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "negpipe/error.hpp"
#include "negpipe/sampler.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

struct made_row {
  std::int32_t user;
  std::vector<std::int32_t> items;
  std::vector<std::int8_t> mask;
};

std::vector<made_row> rows_of(const dataset& data, const evaluation_options& options,
                              const std::string& device = "cpu") {
  const sampler source(data, {.seed = 7, .batch_size = 64, .evaluation = options, .device = device});
  evaluation_batch batch = source.make_evaluation_batch();
  source.with_threads(2).fill_evaluation(0, batch);
  const std::size_t length = source.evaluation_plan().row_length();
  std::vector<made_row> rows;
  const auto* items = static_cast<const std::uint16_t*>(batch.items().data());
  for (std::size_t begin = 0; begin + length <= batch.users().size(); begin += length) {
    rows.push_back({batch.users()[begin],
                    {items + begin, items + begin + length},
                    {batch.duplicate_mask().begin() + static_cast<std::ptrdiff_t>(begin),
                     batch.duplicate_mask().begin() + static_cast<std::ptrdiff_t>(begin + length)}});
  }
  return rows;
}

evaluation_options evaluate(heldout_set set, std::uint32_t negatives, bool mlperf = false,
                            infeasible_policy infeasible = infeasible_policy::skip) {
  return {negatives, 4 * (negatives + 1ULL), mlperf, infeasible, set};
}

std::set<std::int32_t> items_of_all_sets(const dataset& data, std::size_t user) {
  std::set<std::int32_t> items;
  for (const user_items& set : {user_items{data.user_offsets(), data.positive_items()},
                                data.heldout(heldout_set::test), data.heldout(heldout_set::validation)}) {
    items.insert(set.of(user).begin(), set.of(user).end());
  }
  return items;
}

bool is_padding(const made_row& row) {
  return std::ranges::count(row.mask, 1) == static_cast<std::ptrdiff_t>(row.mask.size()) - 1 &&
         std::ranges::count(row.items, 0) == static_cast<std::ptrdiff_t>(row.items.size());
}

TEST(evaluation_sets, rows_hold_the_item_of_the_set_and_no_other_item_of_the_user) {
  const dataset data = dataset_with_validation();
  for (const heldout_set set : {heldout_set::test, heldout_set::validation}) {
    const auto rows = rows_of(data, evaluate(set, 6));
    ASSERT_EQ(rows.size(), 4U);
    for (std::size_t user = 0; user < 3; ++user) {
      const auto target = data.heldout(set).of(user);
      if (target.empty()) {
        EXPECT_TRUE(is_padding(rows[user])) << user;
        continue;
      }
      EXPECT_EQ(rows[user].items[0], target[0]);
      const std::set<std::int32_t> own = items_of_all_sets(data, user);
      const std::set<std::int32_t> negatives(rows[user].items.begin() + 1, rows[user].items.end());
      EXPECT_EQ(negatives.size(), 6U);
      for (const std::int32_t item : negatives) EXPECT_FALSE(own.contains(item)) << user << " " << item;
    }
    EXPECT_TRUE(is_padding(rows[3])) << "one item is left";
  }
}

TEST(evaluation_sets, mlperf_excludes_training_positives_only) {
  const dataset data = dataset_with_validation();
  std::set<std::int32_t> drawn;
  const auto rows = rows_of(data, evaluate(heldout_set::validation, 200, true));
  EXPECT_EQ(rows[3].items[0], 9);
  EXPECT_TRUE(is_padding(rows[2]));
  EXPECT_EQ(std::set<std::int32_t>(rows[3].items.begin() + 1, rows[3].items.end()),
            (std::set<std::int32_t>{9, 10, 11}));
}

TEST(evaluation_sets, fewer_gives_all_items_left_and_marks_repeats) {
  const dataset data = dataset_with_validation();
  const auto rows = rows_of(data, evaluate(heldout_set::test, 8, false, infeasible_policy::fewer));
  EXPECT_EQ(rows[3].items, (std::vector<std::int32_t>{10, 11, 11, 11, 11, 11, 11, 11, 11}));
  EXPECT_EQ(rows[3].mask, (std::vector<std::int8_t>{0, 0, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(std::set<std::int32_t>(rows[0].items.begin() + 1, rows[0].items.end()),
            (std::set<std::int32_t>{1, 2, 3, 5, 6, 7, 10}));
  EXPECT_EQ(rows[0].mask, (std::vector<std::int8_t>{0, 0, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(rows[0].items[8], rows[0].items[1]);
  EXPECT_EQ(rows[2].mask, std::vector<std::int8_t>(9, 0));
}

TEST(evaluation_sets, test_rows_without_validation_are_those_of_leave_one_out) {
  const dataset plain = random_dataset({3, 20, 1, 0, 25}, 60, 11);
  EXPECT_FALSE(needs_evaluation_rows(plain, evaluate(heldout_set::test, 5)));
  EXPECT_TRUE(needs_evaluation_rows(dataset_with_validation(), evaluate(heldout_set::test, 5)));
  EXPECT_FALSE(needs_evaluation_rows(dataset_with_validation(), evaluate(heldout_set::test, 5, true)));
  EXPECT_TRUE(needs_evaluation_rows(dataset_with_validation(), evaluate(heldout_set::validation, 5, true)));
}

/// Weights of 12 items, of which 2 and 6 weigh 0.
item_weights some_weights() { return item_weights({5, 1, 0, 900, 2, 7, 0, 30, 4, 1, 60, 8}); }

TEST(evaluation_sets, weighted_rows_are_those_of_core_and_need_no_other_weights_in_training) {
  const dataset data = dataset_with_validation();
  for (const heldout_set set : {heldout_set::test, heldout_set::validation}) {
    for (const bool mlperf : {false, true}) {
      evaluation_options options = evaluate(set, 5, mlperf, infeasible_policy::fewer);
      options.weights = some_weights();
      const sampler source(data, {.seed = 7, .batch_size = 64, .evaluation = options, .device = "cpu"});
      EXPECT_FALSE(source.plan().weights.is_set()) << "training is uniform";
      const positives_index index(evaluation_rows(data, options));
      const std::vector<made_row> rows = rows_of(data, options);
      const auto items_of = [](const made_row& row) { return row.items; };
      EXPECT_TRUE(std::ranges::equal(rows_of(data, options, "auto"), rows, {}, items_of, items_of));
      for (std::size_t user = 0; user < rows.size(); ++user) {
        if (!core::is_evaluated(source.evaluation_plan(), index.view(), user)) {
          EXPECT_TRUE(is_padding(rows[user])) << user;
          continue;
        }
        std::vector<std::int32_t> wanted(6);
        core::write_row(source.evaluation_plan(), index.view(), user_id{static_cast<std::int32_t>(user)},
                        core::philox_source{7}, wanted.data());
        EXPECT_EQ(rows[user].items, wanted) << user;
        for (std::size_t c = 1; c < 6; ++c) EXPECT_TRUE(wanted[c] != 2 && wanted[c] != 6) << "an item of weight 0";
      }
    }
  }
}

TEST(evaluation_sets, weights_leave_out_users_without_enough_items_of_positive_weight) {
  const dataset data = dataset_with_validation();
  std::vector<std::uint32_t> values(12, 0);
  values[9] = values[10] = 3;  // user 0's test item, user 3's; user 0 has 10 left, user 2 both, user 3 none
  evaluation_options options = evaluate(heldout_set::test, 2);
  options.weights = item_weights(values);
  EXPECT_EQ(skipped_users(data, options), (std::vector<std::int32_t>{0, 1, 3}));
  options.infeasible = infeasible_policy::fewer;
  EXPECT_EQ(skipped_users(data, options), (std::vector<std::int32_t>{1, 3}));
  options.infeasible = infeasible_policy::error;
  EXPECT_THROW(plan_evaluation(data, options, 0), infeasible_error);
  options.mlperf = true;  // the held-out item may be drawn, and so may validation items
  EXPECT_TRUE(skipped_users(data, options) == std::vector<std::int32_t>{1});
}

TEST(evaluation_sets, weights_that_do_not_fit_are_refused) {
  const dataset data = dataset_with_validation();
  evaluation_options options = evaluate(heldout_set::test, 2);
  options.weights = item_weights({1, 2});
  try {
    sampler(data, {.seed = 7, .batch_size = 64, .evaluation = options, .device = "cpu"});
    ADD_FAILURE() << "accepted";
  } catch (const option_error& failure) {
    EXPECT_STREQ(failure.what(), "eval_weights: 2 weights given; expected 12, one per item");
  }
  options.weights = some_weights();
  EXPECT_THROW(plan_evaluation(data.user_offsets(), data.item_count(), options, 0), option_error);
}

TEST(evaluation_sets, training_is_that_of_the_dataset_whatever_is_evaluated) {
  const dataset data = dataset_with_validation();
  const auto items = [&](std::optional<evaluation_options> evaluation) {
    const sampler source(data, {.seed = 3, .batch_size = 64, .evaluation = evaluation, .device = "cpu"});
    training_batch batch = source.make_batch();
    source.fill(2, 0, batch);
    const auto* begin = static_cast<const std::uint16_t*>(batch.items().data());
    return std::vector<std::uint16_t>(begin, begin + 64);
  };
  EXPECT_EQ(items({}), items(evaluate(heldout_set::validation, 2)));
}

TEST(evaluation_sets, leaves_out_users_without_a_held_out_item_or_enough_items) {
  const dataset data = dataset_with_validation();
  using users = std::vector<std::int32_t>;
  EXPECT_EQ(skipped_users(data, evaluate(heldout_set::test, 1)), (users{1}));
  EXPECT_EQ(skipped_users(data, evaluate(heldout_set::test, 8)), (users{0, 1, 3}));
  EXPECT_EQ(skipped_users(data, evaluate(heldout_set::validation, 2)), (users{2, 3}));
  EXPECT_EQ(skipped_users(data, evaluate(heldout_set::validation, 2, true)), (users{2}));
  EXPECT_EQ(skipped_users(data, evaluate(heldout_set::test, 8, false, infeasible_policy::fewer)), (users{1}));
}

std::string refusal_of(const dataset& data, const evaluation_options& options) {
  try {
    plan_evaluation(data, options, 0);
  } catch (const infeasible_error& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(evaluation_sets, rejects_sets_that_sampled_rows_cannot_evaluate) {
  EXPECT_NE(refusal_of(random_dataset({1, 2}, 9, 1), evaluate(heldout_set::validation, 2)).find("no validation set"),
            std::string::npos);
  dataset_arrays arrays;
  arrays.user_offsets = {0, 1, 2};
  arrays.positive_items = {0, 1};
  arrays.heldout_items = {1, 2, 0};
  arrays.test_offsets = {0, 2, 3};
  arrays.validation_offsets = {0, 0, 0};
  arrays.user_ids = std::vector<std::int64_t>{5, 6};
  arrays.item_ids = std::vector<std::int64_t>{1, 2, 3};
  const dataset data(std::move(arrays), {});
  const std::string several = refusal_of(data, evaluate(heldout_set::test, 1));
  EXPECT_NE(several.find("user 5 (number 0) has 2 held-out items"), std::string::npos) << several;
  const std::string nobody = refusal_of(data, evaluate(heldout_set::validation, 1));
  EXPECT_NE(nobody.find("no user has a held-out item"), std::string::npos) << nobody;
}

}  // namespace
}  // namespace negpipe::test
