// The part of every backend's contract that concerns negatives by weight: instantiate weighted_contract beside
// backend_contract.
#pragma once

#include <utility>
#include <vector>

#include "equality/pair_contract.hpp"

namespace negpipe::test {

/// Weights of which every third is 0 and some are large.
inline item_weights some_weights(std::int32_t item_count) {
  std::vector<std::uint32_t> values;
  for (std::int32_t i = 0; i < item_count; ++i) {
    const auto number = static_cast<std::uint32_t>(i);
    values.push_back(i % 3 == 0 ? 0 : i % 16 == 1 ? 1000 * (number + 1) : number);
  }
  return item_weights(std::move(values));
}

class weighted_contract : public backend_contract {
 protected:
  /// Calls check(index, backend) for every form of membership.
  template <typename Check>
  static void with_every_form(const dataset& data, const dataset_weights& weights, const Check& check) {
    for (const core::membership form : forms) {
      const positives_index index = index_of(data, form);
      check(index, *make(index, {dataset_weights(), weights}));
      if (HasFatalFailure()) return;
    }
  }

  static void expect_evaluation(const dataset& data, const evaluation_options& options) {
    const dataset_weights weights = dataset_weights::for_evaluation(data, options.weights);
    evaluation_plan plan = plan_evaluation(data, options, 8);
    plan.weights = *weights.draw();
    with_every_form(data, weights, [&](const positives_index& index, const backend& filler) {
      expect_rows(filler, index, plan, 0, plan.padded_count() / plan.row_length());
    });
  }
};

/// Leaves every user an item of positive weight.
inline dataset weighted_dataset() { return random_dataset({0, 1, 20, 0, 32, 48, 60, 5}, 97, 7); }

TEST_P(weighted_contract, points_equal_core) {
  const dataset data = weighted_dataset();
  const dataset_weights weights(data, some_weights(97));
  for (const padding_policy padding : every_padding) {
    training_plan plan = plan_training(data, {42, 4, 3, 64, padding});
    plan.weights = *weights.draw();
    with_every_form(data, weights, [&](const positives_index& index, const backend& filler) {
      expect_points(filler, index, plan, make_cycle_key(plan, 5), 0, plan.padded_count());
    });
    if (HasFatalFailure()) return;
  }
}

TEST_P(weighted_contract, pairs_equal_core) {
  const dataset data = weighted_dataset();
  const dataset_weights weights(data, some_weights(97));
  for (const padding_policy padding : every_padding) {
    training_plan plan = plan_training(data, pairwise({42, 5, 3, 64, padding}));
    plan.weights = *weights.draw();
    with_every_form(data, weights, [&](const positives_index& index, const backend& filler) {
      expect_pairs(filler, index, plan, make_cycle_key(plan, 5), 0, plan.padded_count());
    });
    if (HasFatalFailure()) return;
  }
}

// Plans with different weights, and without.
TEST_P(weighted_contract, a_backend_draws_by_several_weights) {
  const dataset data = weighted_dataset();
  const dataset_weights one(data, some_weights(97));
  const dataset_weights other(data, popularity_weights(data, 0.5));
  const positives_index index(data);
  const auto filler = make(index, {one, other});
  training_plan plan = plan_training(data, {42, 4, 1, 64, padding_policy::mask});
  const core::cycle_key key = make_cycle_key(plan, 0);
  for (const core::weighted_draw& draw : {*one.draw(), *other.draw(), core::weighted_draw{}}) {
    plan.weights = draw;
    expect_points(*filler, index, plan, key, 0, plan.padded_count());
    if (HasFatalFailure()) return;
  }
}

// Users with many items left, with fewer than E, with one and with none of positive weight.
TEST_P(weighted_contract, distinct_evaluation_rows_equal_core) {
  std::vector<std::vector<std::int32_t>> rows(9);
  for (std::int32_t i = 0; i < 97; ++i) {
    if (i % 3 != 0) rows[1].push_back(i);  // all that weigh something
    if (i % 3 != 0 && i != 50) rows[2].push_back(i);
    if (i % 3 != 0 && i != 50 && i != 52) rows[3].push_back(i);
    if (i % 3 != 0 && i % 16 != 1) rows[4].push_back(i);
    if (i < 96 && i % 2 == 0) rows[5].push_back(i);
    if (i % 5 == 0) rows[6].push_back(i);
  }
  const dataset data = make_dataset(rows, {3, 0, 50, 50, 0, 95, 11, 1, 17}, 97);
  for (const auto policy : {infeasible_policy::skip, infeasible_policy::fewer}) {
    for (const std::uint32_t negatives : {1U, 5U, 40U, 70U}) {
      if (negatives == 70 && policy == infeasible_policy::skip) continue;  // more than anybody has
      evaluation_options options{negatives, 2 * (negatives + 1ULL), false, policy};
      options.weights = some_weights(97);
      expect_evaluation(data, options);
      if (HasFatalFailure()) return;
    }
  }
}

// One item has nearly all weight, so draws reach the last of their three stages.
TEST_P(weighted_contract, distinct_evaluation_rows_by_uneven_weights_equal_core) {
  std::vector<std::uint32_t> values(300, 1);
  values[7] = 4'000'000'000;
  values[20] = 100'000;
  evaluation_options options{100, 606, false, infeasible_policy::fewer};
  options.weights = item_weights(values);
  expect_evaluation(random_dataset({0, 1, 20, 0, 290, 150, 199, 5}, 300, 7), options);
}

TEST_P(weighted_contract, evaluation_rows_with_replacement_equal_core) {
  const dataset data = make_dataset({{}, {1, 2, 4, 5, 7, 8, 10, 11}, {2, 4, 5, 7, 8, 10, 11}, {0, 1}, {3}},
                                    {3, 0, 0, 2, 1}, 12);  // user 1 has nothing of positive weight left
  for (const std::uint32_t negatives : {1U, 30U, 300U}) {
    evaluation_options options{negatives, 2 * (negatives + 1ULL), true};
    options.weights = some_weights(12);
    expect_evaluation(data, options);
    if (HasFatalFailure()) return;
  }
}

TEST_P(weighted_contract, evaluation_rows_of_a_shard_equal_core) {
  for (const bool mlperf : {false, true}) {
    evaluation_options options{10, 33, mlperf};
    options.weights = some_weights(97);
    options.first_user = 1'000'003;
    expect_evaluation(weighted_dataset(), options);
    if (HasFatalFailure()) return;
  }
}

TEST_P(weighted_contract, any_range_of_evaluation_rows_equals_core) {
  const dataset data = weighted_dataset();
  const dataset_weights weights = dataset_weights::for_evaluation(data, some_weights(97));
  const positives_index index(data);
  const auto filler = make(index, {weights});
  for (const bool mlperf : {false, true}) {
    evaluation_options options{10, 33, mlperf};
    options.weights = some_weights(97);
    evaluation_plan plan = plan_evaluation(data, options, 4);
    plan.weights = *weights.draw();
    const std::uint64_t rows = plan.padded_count() / plan.row_length();
    for (std::uint64_t first = 0; first <= rows; ++first) {
      for (std::uint64_t count = 0; first + count <= rows; count += 2) {
        expect_rows(*filler, index, plan, first, count);
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace negpipe::test
