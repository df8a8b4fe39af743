// Plans: the counts of small and of the largest runs; whatever does not fit is rejected with the field's name.
#include "negpipe/plan.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "negpipe/error.hpp"
#include "support/datasets.hpp"
#include "support/refusal.hpp"

namespace negpipe {
namespace {

using test::refusal;

constexpr std::uint64_t max_points = core::permutation::max_size;  // 2^61
constexpr std::uint32_t max_32 = std::numeric_limits<std::uint32_t>::max();

const dataset& one_positive() {
  static const dataset data = test::make_dataset({{0}}, {1}, 2);
  return data;
}

const dataset& three_positives() {
  static const dataset data = test::make_dataset({{0, 2}, {1}}, {1, 2}, 3);
  return data;
}

training_options options_of(std::uint32_t negatives, std::uint32_t epochs, std::uint64_t batch_size,
                            padding_policy padding = padding_policy::resample) {
  return {.seed = 1, .negatives = negatives, .epochs_per_cycle = epochs, .batch_size = batch_size, .padding = padding};
}

std::string training_refusal(const dataset& data, const training_options& options) {
  return refusal<option_error>([&] { plan_training(data, options); });
}

void expect_mentions(const std::string& message, const std::vector<std::string>& words) {
  for (const std::string& word : words) EXPECT_NE(message.find(word), std::string::npos) << word << " in: " << message;
}

TEST(training_plan, counts_points_and_batches) {
  struct row {
    std::uint64_t batch;
    padding_policy padding;
    std::uint64_t batches;
  };
  constexpr auto resample = padding_policy::resample;
  for (const row& wanted : {row{1, resample, 30}, row{7, resample, 5}, row{29, resample, 2}, row{30, resample, 1},
                            row{31, resample, 1}, row{7, padding_policy::mask, 5}, row{7, padding_policy::drop, 4},
                            row{29, padding_policy::drop, 1}, row{30, padding_policy::drop, 1}}) {
    const training_plan plan = plan_training(three_positives(), options_of(4, 2, wanted.batch, wanted.padding));
    EXPECT_EQ(plan.point_count, 30U);
    EXPECT_EQ(plan.batch_count, wanted.batches) << wanted.batch;
    EXPECT_EQ(plan.padded_count(), wanted.batches * wanted.batch);
  }
}

TEST(training_plan, resample_writes_the_last_batch_first) {
  const auto first_positions = [](padding_policy padding) {
    const training_plan plan = plan_training(three_positives(), options_of(4, 2, 7, padding));
    std::vector<std::uint64_t> firsts;
    for (std::uint64_t batch = 0; batch < plan.batch_count; ++batch) firsts.push_back(plan.first_position(batch));
    return firsts;
  };
  EXPECT_EQ(first_positions(padding_policy::resample), (std::vector<std::uint64_t>{28, 7, 14, 21, 0}));
  EXPECT_EQ(first_positions(padding_policy::mask), (std::vector<std::uint64_t>{0, 7, 14, 21, 28}));
  EXPECT_EQ(first_positions(padding_policy::drop), (std::vector<std::uint64_t>{0, 7, 14, 21}));
}

TEST(training_plan, allows_2_to_the_61_points_and_no_more) {
  constexpr std::uint32_t half = 1U << 31;
  // 1 positive, 2^31 points each, 2^30 epochs: exactly the maximum.
  for (const std::uint64_t batch : {std::uint64_t{1}, std::uint64_t{65'536}, max_points - 1, max_points}) {
    const training_plan plan = plan_training(one_positive(), options_of(half - 1, half / 2, batch));
    EXPECT_EQ(plan.point_count, max_points);
    EXPECT_EQ(plan.batch_count, (max_points + batch - 1) / batch);
    EXPECT_LT(plan.padded_count(), max_points * 2) << "positions and batches have room in 62 bits";
    EXPECT_EQ(plan.first_position(0), (plan.batch_count - 1) * batch);
  }
  expect_mentions(training_refusal(one_positive(), options_of(half - 1, half / 2 + 1, 1)),
                  {"epochs_per_cycle", std::to_string(half / 2 + 1), std::to_string(max_points)});
  expect_mentions(training_refusal(one_positive(), options_of(half, half / 2, 1)), {"epochs_per_cycle"});
  // 3 * 2^32 * (2^32 - 1) exceeds 2^64 too; 3 * 2^32 alone exceeds no limit.
  expect_mentions(training_refusal(three_positives(), options_of(max_32, max_32, 1)),
                  {"epochs_per_cycle", std::to_string(max_32)});
  EXPECT_EQ(plan_training(three_positives(), options_of(max_32, 1, 1)).point_count, 3ULL << 32);
  expect_mentions(training_refusal(one_positive(), options_of(0, 1, max_points + 1)),
                  {"batch_size", std::to_string(max_points + 1)});
  expect_mentions(training_refusal(one_positive(), options_of(0, 1, ~0ULL)), {"batch_size"});
}

TEST(training_plan, rejects_zeros_and_padding_that_leaves_no_batch) {
  expect_mentions(training_refusal(three_positives(), options_of(4, 1, 0)), {"batch_size", "0 given"});
  expect_mentions(training_refusal(three_positives(), options_of(4, 0, 1)), {"epochs_per_cycle", "0 given"});
  EXPECT_EQ(plan_training(three_positives(), options_of(0, 1, 2)).point_count, 3U) << "zero negatives are allowed";
  expect_mentions(training_refusal(three_positives(), options_of(4, 1, 16, padding_policy::drop)),
                  {"padding: drop", "15 points", "16"});
}

training_options pairwise(training_options options) {
  options.layout = batch_layout::pairwise;
  return options;
}

TEST(pairwise_plan, counts_rows_whatever_the_number_of_negatives) {
  for (const std::uint32_t negatives : {0U, 1U, 64U}) {
    const training_plan plan = plan_training(three_positives(), pairwise(options_of(negatives, 2, 4)));
    EXPECT_EQ(plan.point_count, 6U);
    EXPECT_EQ(plan.batch_count, 2U);
    EXPECT_EQ(plan.padding_draw.n, 6U);
    EXPECT_EQ(plan.layout, batch_layout::pairwise);
  }
  expect_mentions(training_refusal(three_positives(), pairwise(options_of(4, 1, 4, padding_policy::drop))),
                  {"padding: drop", "3 rows", "4"});
}

// Every row, also of the padding, has K draw indices.
TEST(pairwise_plan, allows_2_to_the_61_negatives_and_no_more) {
  EXPECT_EQ(plan_training(one_positive(), pairwise(options_of(1U << 31, 1U << 30, 1))).point_count, 1ULL << 30);
  expect_mentions(training_refusal(one_positive(), pairwise(options_of(1U << 31, (1U << 30) + 1, 1))),
                  {"negatives", "num_neg", std::to_string(max_points)});
  EXPECT_NO_THROW(plan_training(one_positive(), pairwise(options_of(2, 1, max_points / 2))));
  expect_mentions(training_refusal(one_positive(), pairwise(options_of(2, 1, max_points / 2 + 1))),
                  {"negatives", "num_neg"});
  EXPECT_NO_THROW(plan_training(one_positive(), pairwise(options_of(0, 1, max_points))));
  expect_mentions(training_refusal(one_positive(), pairwise(options_of(0, 1, max_points + 1))), {"batch_size"});
}

TEST(cycles, have_32_bit_numbers) {
  constexpr std::uint64_t most = 1ULL << 32;
  for (const auto& [first, count] : {std::pair{0ULL, 1ULL}, {0ULL, 1ULL << 32}, {most - 1, 1ULL}, {5ULL, most - 5}}) {
    EXPECT_NO_THROW(check_cycles(first, count)) << first << " " << count;
  }
  for (const auto& [first, count] : {std::pair{0ULL, 0ULL},
                                     {0ULL, most + 1},
                                     {most - 1, 2ULL},
                                     {most, 1ULL},
                                     {5ULL, most - 4},
                                     {~0ULL, 1ULL},
                                     {1ULL, ~0ULL},
                                     {~0ULL, ~0ULL}}) {
    EXPECT_THROW(check_cycles(first, count), option_error) << first << " " << count;
  }
}

TEST(cycles, have_different_keys) {
  const training_plan plan = plan_training(test::edge_dataset(), options_of(4, 1, 64));
  const auto word = [&](std::uint32_t cycle) { return make_cycle_key(plan, cycle).order.word[0]; };
  EXPECT_NE(word(0), word(1));
  EXPECT_NE(word(0), word(max_32));
  EXPECT_EQ(word(7), word(7));
}

TEST(evaluation_plan, counts_rows_and_batches) {
  const dataset data = test::edge_dataset(200);  // nine users, one of them with all but one item
  const evaluation_plan plan = plan_evaluation(data, {.negatives = 9, .batch_size = 40, .mlperf = true}, 3);
  EXPECT_EQ(plan.row_length(), 10U);
  EXPECT_EQ(plan.element_count(), 90U);
  EXPECT_EQ(plan.batch_count, 3U);
  EXPECT_EQ(plan.padded_count(), 120U);
}

TEST(evaluation_plan, rejects_batches_that_cut_rows_and_names_a_valid_size) {
  for (const std::uint64_t batch : {1ULL, 9ULL, 11ULL, 19ULL, 159'999ULL}) {
    const std::string message = refusal<option_error>(
        [&] { plan_evaluation(one_positive(), {.negatives = 9, .batch_size = batch, .mlperf = true}, 0); });
    expect_mentions(message, {"eval_batch_size", std::to_string(batch), std::to_string((batch / 10 + 1) * 10)});
  }
}

TEST(evaluation_plan, rejects_numbers_out_of_range) {
  constexpr std::uint32_t most = (1U << 31) - 2;
  const auto plan = [](std::uint32_t negatives, std::uint64_t batch) {
    return refusal<option_error>(
        [&] { plan_evaluation(one_positive(), {.negatives = negatives, .batch_size = batch, .mlperf = true}, 0); });
  };
  EXPECT_EQ(plan(most, most + 1ULL), "accepted");
  expect_mentions(plan(most + 1, most + 2ULL), {"eval_negatives", std::to_string(most + 1)});
  expect_mentions(plan(max_32, 1ULL << 32), {"eval_negatives"});
  expect_mentions(plan(0, 1), {"eval_negatives", "0 given"});
  expect_mentions(plan(9, 0), {"eval_batch_size", "0 given"});
  EXPECT_EQ(plan(1, max_points), "accepted");
  expect_mentions(plan(1, max_points + 2), {"eval_batch_size", std::to_string(max_points + 2)});
}

TEST(evaluation_plan, names_users_with_too_few_items_left) {
  // Of 12 items, users have 2, 9, 10 and 0 as positives and one more held out: 9, 2, 1 and 11 are left.
  const dataset data = test::random_dataset({2, 9, 10, 0}, 12, 1);
  const auto refusal_for = [&](std::uint32_t negatives) {
    return refusal<infeasible_error>(
        [&] {
          plan_evaluation(data,
                          {.negatives = negatives,
                           .batch_size = negatives + 1ULL,
                           .infeasible = infeasible_policy::error},
                          0);
        });
  };
  EXPECT_EQ(refusal_for(1), "accepted");
  expect_mentions(refusal_for(2), {"1 of 4 users", "21 (number 2) has 1", "eval_negatives", "mlperf"});
  expect_mentions(refusal_for(3), {"2 of 4 users", "11 (number 1) has 2", "21 (number 2) has 1"});
  expect_mentions(refusal_for(12), {"4 of 4 users"});
  EXPECT_NO_THROW(plan_evaluation(data, {.negatives = 12, .batch_size = 13, .mlperf = true}, 0));
}

TEST(plans_from_counts, equal_plans_of_the_dataset) {
  const dataset data = test::edge_dataset();
  const training_options training{.seed = 3, .negatives = 2, .batch_size = 100};
  const training_plan a = plan_training(data, training);
  const training_plan b = plan_training(data.positive_count(), data.item_count(), training);
  EXPECT_EQ(a.point_count, b.point_count);
  EXPECT_EQ(a.batch_count, b.batch_count);
  EXPECT_EQ(a.item_draw.n, b.item_draw.n);
  const evaluation_options evaluation{.negatives = 9, .batch_size = 30, .mlperf = true};
  const evaluation_plan c = plan_evaluation(data, evaluation, 3);
  const evaluation_plan d = plan_evaluation(data.user_offsets(), data.item_count(), evaluation, 3);
  EXPECT_EQ(c.user_count, d.user_count);
  EXPECT_EQ(c.batch_count, d.batch_count);
  EXPECT_EQ(c.item_draw.n, d.item_draw.n);
}

TEST(plans_from_counts, name_users_with_too_few_items_by_number) {
  const dataset data = test::edge_dataset();
  const std::string message = refusal<infeasible_error>([&] {
    plan_evaluation(data.user_offsets(), data.item_count(),
                    {.negatives = 9, .batch_size = 30, .infeasible = infeasible_policy::error}, 3);
  });
  EXPECT_NE(message.find("(number 7) has 0"), std::string::npos) << message;
}

TEST(evaluation_plan, skips_users_with_too_few_items_left_unless_no_user_has_enough) {
  const dataset data = test::random_dataset({2, 9, 10, 0}, 12, 1);  // 9, 2, 1 and 11 items are left
  using users = std::vector<std::int32_t>;
  EXPECT_EQ(skipped_users(data, {.negatives = 1}), users{});
  EXPECT_EQ(skipped_users(data, {.negatives = 2}), users{2});
  EXPECT_EQ(skipped_users(data, {.negatives = 11}), (users{0, 1, 2}));
  EXPECT_EQ(skipped_users(data, {.negatives = 12, .mlperf = true}), users{});
  const evaluation_plan plan = plan_evaluation(data, {.negatives = 11, .batch_size = 12}, 0);
  EXPECT_EQ(plan.batch_count, 4U) << "their rows are zeros";
  EXPECT_THROW(plan_evaluation(data, {.negatives = 12, .batch_size = 13}, 0), infeasible_error);
}

TEST(evaluation_plan, refuses_users_of_a_shard_past_the_largest_number) {
  const dataset data = test::random_dataset({2, 9, 10, 0}, 12, 1);
  for (const std::int32_t first : {0, 2'147'483'643}) {
    EXPECT_EQ(plan_evaluation(data, {.negatives = 1, .batch_size = 2, .first_user = first}, 0).first_user,
              static_cast<std::uint64_t>(first));
  }
  for (const std::int32_t first : {-1, 2'147'483'644}) {
    EXPECT_THROW(plan_evaluation(data, {.negatives = 1, .batch_size = 2, .first_user = first}, 0), option_error);
  }
}

TEST(random_seed, differs_each_time) {
  const std::uint64_t first = random_seed();
  EXPECT_NE(first, random_seed());
}

}  // namespace
}  // namespace negpipe
