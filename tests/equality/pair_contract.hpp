// The part of every backend's contract that concerns the pairwise layout: instantiate pair_contract beside
// backend_contract.
#pragma once

#include "equality/backend_refusals.hpp"

namespace negpipe::test {

inline training_options pairwise(training_options options) {
  options.layout = batch_layout::pairwise;
  return options;
}

/// Compares rows [first, first + count) with the reference, in both item widths.
inline void expect_pairs(const backend& filler, const positives_index& index, const training_plan& plan,
                         const core::cycle_key& key, std::uint64_t first, std::uint64_t count) {
  for (const item_type width : {item_type::uint16, item_type::int32}) {
    if (width < item_type_for(index.source().item_count())) continue;
    const bool masked = plan.pad == padding_policy::mask;
    pair_buffer wanted(count, plan.negatives, width, masked);
    pair_buffer found(count, plan.negatives, width, masked);
    write_reference_pairs(plan, key, index.view(), first, count, wanted.columns());
    filler.fill_pairs(plan, key, first, count, found.columns());
    ASSERT_EQ(found.first_difference(wanted), "") << "rows " << first << " + " << count;
  }
}

class pair_contract : public backend_contract {
 protected:
  static void expect_cycle(const dataset& data, const training_options& options, std::uint32_t cycle) {
    const training_plan plan = plan_training(data, pairwise(options));
    SCOPED_TRACE(describe(options, data.positive_count()));
    for (const core::membership form : forms) {
      const positives_index index = index_of(data, form);
      expect_pairs(*make(index), index, plan, make_cycle_key(plan, cycle), 0, plan.padded_count());
      if (HasFatalFailure()) return;
    }
  }
};

TEST_P(pair_contract, cycles_equal_core) {
  const dataset data = edge_dataset();
  for (const std::uint32_t negatives : {0U, 1U, 4U, 17U}) {
    const std::uint32_t epochs = negatives == 4 ? 3 : 1;
    for (const padding_policy padding : every_padding) {
      expect_cycle(data, {42, negatives, epochs, 64, padding}, epochs == 1 ? 0 : 0xFFFFFFFFU);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(pair_contract, row_counts_at_the_edges_equal_core) {
  for (const std::int32_t positives : {1, 2, 3, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025}) {
    for (const std::uint32_t negatives : {0U, 3U}) {
      expect_cycle(dataset_with_positives(positives), {7, negatives, 1, 100, padding_policy::resample}, 3);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(pair_contract, more_negatives_than_a_block_equal_core) {
  expect_cycle(random_dataset({0, 1, 2, 0, 70}, 300, 3), {7, 300, 1, 50, padding_policy::mask}, 0);
}

TEST_P(pair_contract, any_range_equals_core) {
  const dataset data = edge_dataset();
  const training_plan plan = plan_training(data, pairwise({5, 7, 3, 100, padding_policy::mask}));
  const core::cycle_key key = make_cycle_key(plan, 2);
  for (const core::membership form : forms) {
    const positives_index index = index_of(data, form);
    const auto filler = make(index);
    for (const std::uint64_t first : {0ULL, 1ULL, 2ULL, 3ULL, 5ULL, 99ULL, 255ULL}) {
      for (const std::uint64_t count : {0ULL, 1ULL, 3ULL, 4ULL, 37ULL, 257ULL}) {
        expect_pairs(*filler, index, plan, key, first, count);
        if (HasFatalFailure()) return;
      }
    }
    for (std::uint64_t first = plan.point_count - 3; first <= plan.padded_count(); first += 5) {
      expect_pairs(*filler, index, plan, key, first, plan.padded_count() - first);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(pair_contract, a_batch_alone_equals_its_part_of_the_whole) {
  const dataset data = edge_dataset();
  const training_plan plan = plan_training(data, pairwise({6, 5, 3, 77, padding_policy::resample}));
  const core::cycle_key key = make_cycle_key(plan, 0);
  const positives_index index(data);
  const auto filler = make(index);
  pair_buffer whole(plan.padded_count(), 5, item_type::uint16, false);
  filler->fill_pairs(plan, key, 0, plan.padded_count(), whole.columns());
  for (std::uint64_t batch = plan.batch_count; batch-- > 0;) {
    pair_buffer alone(plan.batch_size, 5, item_type::uint16, false);
    filler->fill_pairs(plan, key, batch * plan.batch_size, plan.batch_size, alone.columns());
    ASSERT_EQ(alone.first_difference(whole.part(batch * plan.batch_size, plan.batch_size)), "") << "batch " << batch;
  }
}

// Rows past 2^32 and 2^40, and rows below whose draws have indices past 2^32.
TEST_P(pair_contract, rows_and_draws_past_32_and_40_bits_equal_core) {
  const dataset data = edge_dataset();
  const std::uint64_t positives = data.positive_count();
  for (const std::uint64_t epochs : {(1ULL << 28) / positives, (1ULL << 31) / positives + 1, 0xFFFFFFFFULL}) {
    for (const padding_policy padding : every_padding) {
      const training_plan plan =
          plan_training(data, pairwise({3, 33, static_cast<std::uint32_t>(epochs), 1000, padding}));
      const core::cycle_key key = make_cycle_key(plan, 5);
      for (const core::membership form : forms) {
        const positives_index index = index_of(data, form);
        const auto filler = make(index);
        const std::uint64_t count = 30;
        for (std::uint64_t first : {std::uint64_t{1} << 27, std::uint64_t{1} << 32, std::uint64_t{1} << 40,
                                    plan.padded_count()}) {
          if (first > plan.padded_count()) continue;
          first = std::min(first - count / 2, plan.padded_count() - count);
          expect_pairs(*filler, index, plan, key, first, count);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(pair_contract, catalogues_around_65536_items_equal_core) {
  for (const std::int32_t item_count : {2, 3, 65'536, 65'537}) {
    const std::int32_t most = std::min(item_count - 1, 300);
    expect_cycle(random_dataset({most, 0, 1, most / 2, 1}, item_count, 5), {1, 4, 1, 256, padding_policy::mask}, 0);
    if (HasFatalFailure()) return;
  }
}

TEST_P(pair_contract, calls_may_come_from_several_threads) {
  const dataset data = edge_dataset();
  const training_plan plan = plan_training(data, pairwise({6, 9, 2, 333, padding_policy::resample}));
  const positives_index index(data);
  const auto filler = make(index);
  std::vector<std::thread> callers;
  std::vector<std::string> differences(4);
  for (std::size_t caller = 0; caller < differences.size(); ++caller) {
    callers.emplace_back([&, caller] {
      const core::cycle_key key = make_cycle_key(plan, static_cast<std::uint32_t>(caller / 2));
      pair_buffer wanted(plan.padded_count(), 9, item_type::int32, false);
      pair_buffer found(plan.padded_count(), 9, item_type::int32, false);
      write_reference_pairs(plan, key, index.view(), 0, plan.padded_count(), wanted.columns());
      for (int repeat = 0; repeat < 5; ++repeat) {
        filler->fill_pairs(plan, key, 0, plan.padded_count(), found.columns());
        differences[caller] += found.first_difference(wanted);
      }
    });
  }
  for (auto& caller : callers) caller.join();
  for (const std::string& difference : differences) EXPECT_EQ(difference, "");
}

TEST_P(pair_contract, rejects_columns_that_do_not_fit) {
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, pairwise({1, 4, 1, 8, padding_policy::mask}));
  const core::cycle_key key = make_cycle_key(plan, 0);
  pair_buffer rows(8, 4, item_type::uint16, true);
  pair_buffer wide(8, 4, item_type::int32, true);
  const pair_columns whole = rows.columns();
  ASSERT_NO_THROW(filler->fill_pairs(plan, key, 0, 8, whole));
  const auto expect_refusal = [&](auto change, const std::vector<std::string>& words) {
    pair_columns columns = whole;
    change(columns);
    expect_refused([&] { filler->fill_pairs(plan, key, 0, 8, columns); }, words);
  };
  expect_refusal([](pair_columns& c) { c.users = c.users.first(7); }, {"users", "room for 7", "8 wanted"});
  expect_refusal([](pair_columns& c) { c.items = c.items.subspan(0, 7); }, {"items", "room for 7", "8 wanted"});
  expect_refusal([](pair_columns& c) { c.negatives = c.negatives.subspan(0, 31); },
                 {"negatives", "room for 31", "32 wanted"});
  expect_refusal([](pair_columns& c) { c.valid = c.valid.first(7); }, {"valid", "room for 7", "8 wanted"});
  expect_refusal([](pair_columns& c) { c.valid = {}; }, {"valid", "padding is mask"});
  expect_refusal([&](pair_columns& c) { c.negatives = wide.columns().negatives; }, {"items", "negatives", "types"});
  expect_refusal(
      [](pair_columns& c) {
        c.negatives = {static_cast<std::byte*>(c.negatives.data()) + 1, item_type::uint16, 32};
      },
      {"negatives", "multiple of 2"});
  EXPECT_THROW(filler->fill_pairs(plan, key, plan.padded_count() - 7, 8, whole), option_error);
  EXPECT_NO_THROW(filler->fill_pairs(plan, key, plan.padded_count(), 0, whole));
}

TEST_P(pair_contract, rejects_item_columns_too_narrow_for_the_catalogue) {
  const dataset data = random_dataset({3, 5}, 65'537, 5);
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, pairwise({1, 4, 1, 8, padding_policy::resample}));
  pair_buffer narrow(8, 4, item_type::uint16, false);
  const core::cycle_key key = make_cycle_key(plan, 0);
  expect_refused([&] { filler->fill_pairs(plan, key, 0, 8, narrow.columns()); }, {"column items", "uint16", "65537"});
}

TEST_P(pair_contract, rejects_plans_of_the_other_layout) {
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const auto filler = make(index);
  const training_options options{1, 4, 1, 8, padding_policy::resample};
  const training_plan points = plan_training(data, options);
  const training_plan rows = plan_training(data, pairwise(options));
  pair_buffer row_columns(8, 4, item_type::uint16, false);
  point_buffer point_columns(8, item_type::uint16, false);
  expect_refused([&] { filler->fill_pairs(points, make_cycle_key(points, 0), 0, 8, row_columns.columns()); },
                 {"layout", "pointwise", "pairwise"});
  expect_refused([&] { filler->fill_training(rows, make_cycle_key(rows, 0), 0, 8, point_columns.columns()); },
                 {"layout", "pairwise", "pointwise"});
  expect_refused([&] { filler->fill_pairs(rows, make_cycle_key(points, 0), 0, 8, row_columns.columns()); },
                 {"cycle key", "another plan"});
}

}  // namespace negpipe::test
