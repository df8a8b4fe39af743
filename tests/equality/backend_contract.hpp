// The contract of every backend, as parameterised tests: include this and instantiate backend_contract for each way of
// making one. Bytes are compared with core's functions, called point by point, without tolerances.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "equality/reference_columns.hpp"
#include "negpipe/backend.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {

/// A way of making a backend, and the part of its description that proves that it was used.
struct backend_case {
  std::string name;
  std::function<std::unique_ptr<backend>(const positives_index&, const std::vector<dataset_weights>&)> make;
  std::string described_as;
};

inline std::ostream& operator<<(std::ostream& out, const backend_case& which) { return out << which.name; }

class backend_contract : public testing::TestWithParam<backend_case> {
 protected:
  static constexpr core::membership forms[] = {core::membership::bitset, core::membership::bloom_filter,
                                               core::membership::sorted_search};

  static positives_index index_of(const dataset& data, core::membership form) {
    return positives_index(data, default_bitset_budget_bytes, {}, form);
  }

  /// weights: those that plans may have.
  static std::unique_ptr<backend> make(const positives_index& index, const std::vector<dataset_weights>& weights = {}) {
    return GetParam().make(index, weights);
  }

  /// Compares positions [first, first + count) with the reference, in both item widths.
  static void expect_points(const backend& filler, const positives_index& index, const training_plan& plan,
                            const core::cycle_key& key, std::uint64_t first, std::uint64_t count) {
    for (const item_type width : {item_type::uint16, item_type::int32}) {
      if (width < item_type_for(index.source().item_count())) continue;
      const bool masked = plan.pad == padding_policy::mask;
      point_buffer wanted(count, width, masked);
      point_buffer found(count, width, masked);
      write_reference_points(plan, key, index.view(), first, count, wanted.columns());
      filler.fill_training(plan, key, first, count, found.columns());
      ASSERT_EQ(found.first_difference(wanted), "") << "positions " << first << " + " << count;
    }
  }

  static void expect_rows(const backend& filler, const positives_index& index, const evaluation_plan& plan,
                          std::uint64_t first, std::uint64_t count) {
    for (const item_type width : {item_type::uint16, item_type::int32}) {
      if (width < item_type_for(index.source().item_count())) continue;
      row_buffer wanted(count * plan.row_length(), width);
      row_buffer found(count * plan.row_length(), width);
      write_reference_rows(plan, index.view(), first, count, wanted.columns());
      filler.fill_evaluation(plan, first, count, found.columns());
      ASSERT_EQ(found.first_difference(wanted), "") << "rows " << first << " + " << count;
    }
  }

  static void expect_cycle(const dataset& data, const training_options& options, std::uint32_t cycle) {
    const training_plan plan = plan_training(data, options);
    for (const core::membership form : forms) {
      const positives_index index = index_of(data, form);
      const auto filler = make(index);
      expect_points(*filler, index, plan, make_cycle_key(plan, cycle), 0, plan.padded_count());
      if (HasFatalFailure()) return;
    }
  }

  static void expect_evaluation(const dataset& data, const evaluation_options& options, std::uint64_t seed) {
    const evaluation_plan plan = plan_evaluation(data, options, seed);
    for (const core::membership form : forms) {
      const positives_index index = index_of(data, form);
      const auto filler = make(index);
      expect_rows(*filler, index, plan, 0, plan.padded_count() / plan.row_length());
      if (HasFatalFailure()) return;
    }
  }

  static std::string describe(const training_options& o, std::uint64_t positives) {
    return "P " + std::to_string(positives) + ", K " + std::to_string(o.negatives) + ", epochs " +
           std::to_string(o.epochs_per_cycle) + ", batch " + std::to_string(o.batch_size) + ", padding " +
           std::to_string(static_cast<int>(o.padding));
  }
};

inline constexpr padding_policy every_padding[] = {padding_policy::resample, padding_policy::mask,
                                                   padding_policy::drop};

/// Makes a dataset with the given number of training positives: users have 0, 1, 2, ... 9 of 40 items, repeatedly.
inline dataset dataset_with_positives(std::int32_t positives) {
  std::vector<std::int32_t> degrees;
  for (std::int32_t left = positives, degree = 0; left > 0; degree = (degree + 1) % 10) {
    degrees.push_back(std::min(left, degree));
    left -= degrees.back();
  }
  degrees.push_back(0);
  return random_dataset(degrees, 40, 11);
}

TEST_P(backend_contract, is_the_requested_backend) {
  const positives_index index(edge_dataset());
  EXPECT_NE(make(index)->description().find(GetParam().described_as), std::string::npos) << make(index)->description();
}

TEST_P(backend_contract, cycles_equal_core) {
  const dataset data = edge_dataset();
  for (const std::uint32_t negatives : {0U, 1U, 4U, 16U}) {
    for (const std::uint32_t epochs : {1U, 3U}) {
      for (const padding_policy padding : every_padding) {
        const training_options options{42, negatives, epochs, 64, padding};
        SCOPED_TRACE(describe(options, data.positive_count()));
        expect_cycle(data, options, 0);
        expect_cycle(data, options, 0xFFFFFFFFU);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(backend_contract, point_counts_at_the_edges_equal_core) {
  for (const std::int32_t positives : {1,   2,   3,   31,  32,  33,  63,   64,   65,   127,  128,  129,
                                       255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097}) {
    const dataset data = dataset_with_positives(positives);
    for (const std::uint32_t negatives : {0U, 1U}) {
      const training_options options{7, negatives, 1, 100, padding_policy::resample};
      SCOPED_TRACE(describe(options, data.positive_count()));
      expect_cycle(data, options, 3);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(backend_contract, a_single_positive_with_many_negatives_equals_core) {
  expect_cycle(random_dataset({0, 1, 0}, 300, 3), {7, 200, 2, 64, padding_policy::resample}, 0);
}

TEST_P(backend_contract, batches_about_as_long_as_the_cycle_equal_core) {
  const dataset data = dataset_with_positives(1000);
  for (const padding_policy padding : every_padding) {
    for (const std::uint64_t batch : {1ULL, 999ULL, 1000ULL, 1001ULL, 2500ULL}) {
      if (padding == padding_policy::drop && batch > 1000) continue;  // rejected by the plan
      const training_options options{9, 0, 1, batch, padding};
      SCOPED_TRACE(describe(options, 1000));
      expect_cycle(data, options, 1);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(backend_contract, any_range_equals_core) {
  const dataset data = edge_dataset();
  const training_plan plan = plan_training(data, {5, 4, 1, 100, padding_policy::mask});
  const core::cycle_key key = make_cycle_key(plan, 2);
  for (const core::membership form : forms) {
    const positives_index index = index_of(data, form);
    const auto filler = make(index);
    for (const std::uint64_t first : {0ULL, 1ULL, 2ULL, 3ULL, 5ULL, 99ULL, 255ULL, 257ULL, 700ULL}) {
      for (const std::uint64_t count : {0ULL, 1ULL, 3ULL, 4ULL, 5ULL, 100ULL, 255ULL, 256ULL, 257ULL, 515ULL}) {
        expect_points(*filler, index, plan, key, first, count);
        if (HasFatalFailure()) return;
      }
    }
    for (std::uint64_t first = plan.point_count - 6; first <= plan.padded_count(); ++first) {
      expect_points(*filler, index, plan, key, first, plan.padded_count() - first);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(backend_contract, a_batch_alone_equals_its_part_of_the_whole) {
  const dataset data = edge_dataset();
  const training_plan plan = plan_training(data, {6, 4, 3, 333, padding_policy::resample});
  const core::cycle_key key = make_cycle_key(plan, 0);
  const positives_index index(data);
  const auto filler = make(index);
  point_buffer whole(plan.padded_count(), item_type::uint16, false);
  filler->fill_training(plan, key, 0, plan.padded_count(), whole.columns());
  for (std::uint64_t batch = plan.batch_count; batch-- > 0;) {  // last to first: order must not matter
    point_buffer alone(plan.batch_size, item_type::uint16, false);
    filler->fill_training(plan, key, batch * plan.batch_size, plan.batch_size, alone.columns());
    ASSERT_EQ(alone.first_difference(whole.part(batch * plan.batch_size, plan.batch_size)), "") << "batch " << batch;
  }
}

TEST_P(backend_contract, calls_may_come_from_several_threads) {
  const dataset data = edge_dataset();
  const training_plan plan = plan_training(data, {6, 4, 1, 333, padding_policy::resample});
  const evaluation_plan evaluation = plan_evaluation(data, {50, 510, true}, 6);
  const positives_index index(data);
  const auto filler = make(index);
  std::vector<std::thread> callers;
  std::vector<std::string> differences(6);
  for (std::size_t caller = 0; caller < differences.size(); ++caller) {
    callers.emplace_back([&, caller] {
      const core::cycle_key key = make_cycle_key(plan, static_cast<std::uint32_t>(caller / 2));
      point_buffer wanted(plan.padded_count(), item_type::uint16, false);
      point_buffer found(plan.padded_count(), item_type::uint16, false);
      write_reference_points(plan, key, index.view(), 0, plan.padded_count(), wanted.columns());
      row_buffer wanted_rows(evaluation.padded_count(), item_type::int32);
      row_buffer found_rows(evaluation.padded_count(), item_type::int32);
      const std::uint64_t rows = evaluation.padded_count() / evaluation.row_length();
      write_reference_rows(evaluation, index.view(), 0, rows, wanted_rows.columns());
      for (int repeat = 0; repeat < 5; ++repeat) {
        filler->fill_training(plan, key, 0, plan.padded_count(), found.columns());
        filler->fill_evaluation(evaluation, 0, rows, found_rows.columns());
        differences[caller] += found.first_difference(wanted) + found_rows.first_difference(wanted_rows);
      }
    });
  }
  for (auto& caller : callers) caller.join();
  for (const std::string& difference : differences) EXPECT_EQ(difference, "");
}

TEST_P(backend_contract, points_past_32_and_40_bits_equal_core) {
  const dataset data = edge_dataset();
  const std::uint64_t epoch = data.positive_count() * 5;
  const std::uint64_t batch = 1000;
  // Cycles that end just below and above 2^31 and 2^32 points, where positions exceed 32 bits, and a far longer one.
  for (const std::uint64_t epochs : {(1ULL << 31) / epoch, (1ULL << 31) / epoch + 1, (1ULL << 32) / epoch,
                                     (1ULL << 32) / epoch + 1, 0xFFFFFFFFULL}) {
    for (const padding_policy padding : every_padding) {
      const training_options options{3, 4, static_cast<std::uint32_t>(epochs), batch, padding};
      SCOPED_TRACE(describe(options, data.positive_count()));
      const training_plan plan = plan_training(data, options);
      const core::cycle_key key = make_cycle_key(plan, 5);
      for (const core::membership form : forms) {
        const positives_index index = index_of(data, form);
        const auto filler = make(index);
        const std::uint64_t count = 700;
        for (std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1} << 31, std::uint64_t{1} << 32,
                                    std::uint64_t{1} << 40, plan.point_count / 3, plan.padded_count()}) {
          if (first > plan.padded_count()) continue;
          first = std::min(first - std::min<std::uint64_t>(first, count / 2), plan.padded_count() - count);
          expect_points(*filler, index, plan, key, first, count);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(backend_contract, catalogues_around_65536_items_equal_core) {
  for (const std::int32_t item_count : {2, 3, 65'535, 65'536, 65'537, 70'000}) {
    const std::int32_t most = std::min(item_count - 1, 300);
    const dataset data = random_dataset({most, 0, 1, most / 2, 1}, item_count, 5);
    SCOPED_TRACE("items " + std::to_string(item_count));
    expect_cycle(data, {1, 4, 1, 256, padding_policy::mask}, 0);
    expect_evaluation(data, {99, 1000, true}, 1);
    if (HasFatalFailure()) return;
  }
}

TEST_P(backend_contract, distinct_evaluation_rows_equal_core) {
  // Users who leave exactly as many items as are drawn, a few more, and many: sizes of small permutations and of
  // networks.
  const dataset data = random_dataset({0, 1, 20, 700, 1099, 1000, 0, 1035, 1036, 600}, 1200, 3);
  for (const std::uint32_t negatives : {1U, 2U, 10U, 99U, 100U}) {
    const std::uint64_t row = negatives + 1;
    for (const std::uint64_t batch : {row, 3 * row, 7 * row, 10 * row, 64 * row}) {
      expect_evaluation(data, {negatives, batch, false}, 8);
      if (HasFatalFailure()) return;
    }
  }
  expect_evaluation(random_dataset({0, 5, 200, 1000}, 2000, 3), {999, 7000, false}, 8);
}

// The edge dataset has users with 2 and 1 items left, and some with fewer than half.
TEST_P(backend_contract, rows_of_users_with_too_few_items_left_are_zeros) {
  for (const std::uint32_t negatives : {2U, 60U}) {
    expect_evaluation(edge_dataset(), {negatives, 3 * (negatives + 1ULL)}, 17);
    if (HasFatalFailure()) return;
  }
}

TEST_P(backend_contract, rows_of_users_with_too_few_items_left_repeat_them_where_fewer_are_allowed) {
  for (const std::uint32_t negatives : {2U, 60U, 300U}) {
    expect_evaluation(edge_dataset(), {negatives, 3 * (negatives + 1ULL), false, infeasible_policy::fewer}, 17);
    if (HasFatalFailure()) return;
  }
}

TEST_P(backend_contract, rows_of_users_without_a_held_out_item_are_zeros) {
  for (const bool mlperf : {false, true}) {
    for (const heldout_set set : {heldout_set::test, heldout_set::validation}) {
      const evaluation_options options{4, 15, mlperf, infeasible_policy::skip, set};
      const dataset rows = evaluation_rows(dataset_with_validation(), options);
      expect_evaluation(rows, {4, 15, mlperf}, 5);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(backend_contract, evaluation_rows_with_replacement_equal_core) {
  for (const std::int32_t item_count : {10, 97, 1000}) {
    const dataset data = edge_dataset(std::max(item_count, 25));
    for (const std::uint32_t negatives : {1U, 2U, 10U, 255U, 256U, 999U}) {
      expect_evaluation(data, {negatives, 7 * (negatives + 1ULL), true}, 8);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(backend_contract, evaluation_rows_of_a_shard_equal_core) {
  for (const std::int32_t first_user : {1, 2, 3, 2'000'000'001}) {
    for (const bool mlperf : {false, true}) {
      evaluation_options options{30, 31 * 4, mlperf};
      options.first_user = first_user;
      expect_evaluation(edge_dataset(), options, 9);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(backend_contract, any_range_of_evaluation_rows_equals_core) {
  const dataset data = edge_dataset();
  const evaluation_plan plan = plan_evaluation(data, {30, 31 * 8, true}, 4);
  const positives_index index(data);
  const auto filler = make(index);
  const std::uint64_t rows = plan.padded_count() / plan.row_length();
  for (std::uint64_t first = 0; first <= rows; ++first) {
    for (std::uint64_t count = 0; first + count <= rows; count += 3) {
      expect_rows(*filler, index, plan, first, count);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace negpipe::test
