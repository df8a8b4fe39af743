// The contract of device_sampler: the bytes of the CPU for every membership form, and queued work only.
#include "negpipe/device.hpp"

#include <array>
#include <optional>
#include <string>

#include "captured_graph.hpp"
#include "device.hpp"
#include "device_columns.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

constexpr std::array every_padding{padding_policy::resample, padding_policy::mask, padding_policy::drop};

// Cycles long enough for the network; users with no, few and most items; and so many points that a cycle has 5 batches
// of 9,001 points, which cut blocks of four.
dataset long_dataset(std::int32_t item_count = 5000) {
  return random_dataset({700, 0, 1, 2000, 3000, 20, 0, 2999, 4998, 0, 33}, item_count, 5);
}

class device_contract : public device_test, public testing::WithParamInterface<core::membership> {
 protected:
  device_options options() const { return {.stream = stream->get(), .membership = GetParam()}; }

  device_points points_for(const device_sampler& sampler, const dataset& data, std::uint64_t batches = 1) {
    return device_points(batches * sampler.plan().batch_size, item_type_for(data.item_count()),
                         sampler.plan().pad == padding_policy::mask, *memory, stream->get());
  }

  // Every batch of some cycles, one by one, in record order.
  void expect_batches(const dataset& data, const sampler_options& training) {
    const positives_index index(data);
    const device_sampler sampler(data, training, options());
    device_points found = points_for(sampler, data);
    for (const std::uint32_t cycle : {0U, 0xFFFFFFFFU}) {
      for (std::uint64_t batch = 0; batch < sampler.batch_count(); ++batch) {
        found.clear(stream->get());
        sampler.fill(cycle, batch, found.columns(), stream->get());
        ASSERT_EQ(found.difference(sampler.plan(), cycle, batch, index.view(), stream->get()), "")
            << "cycle " << cycle << ", batch " << batch;
      }
    }
  }

  void expect_evaluation(const dataset& data, std::uint64_t seed, const evaluation_options& evaluation) {
    const positives_index index(data);
    const device_sampler sampler(data, {.seed = seed, .evaluation = evaluation}, options());
    device_rows found(evaluation.batch_size, item_type_for(data.item_count()), *memory, stream->get());
    cuda::device_buffer<std::byte> workspace(sampler.evaluation_workspace_bytes(), *memory, stream->get());
    for (std::uint64_t batch = 0; batch < sampler.evaluation_batch_count(); ++batch) {
      sampler.fill_evaluation(batch, found.columns(), {workspace.data(), workspace.size()}, stream->get());
      ASSERT_EQ(found.difference(*sampler.evaluation_plan(), batch, index.view(), stream->get()), "") << batch;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(membership, device_contract, every_membership(), membership_name);

TEST_P(device_contract, a_sampler_is_destroyed_while_its_fills_run) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  const device_options on{.membership = GetParam()};
  std::optional<device_sampler> sampler(std::in_place, data, sampler_options{}, on);
  const training_plan plan = sampler->plan();
  device_points found = points_for(*sampler, data);
  std::optional<device_replay> replay(sampler->make_replay());
  device_points replayed = points_for(*sampler, data);
  sampler->fill(3, 0, found.columns(), stream->get());
  replay->fill_next(replayed.columns(), stream->get());
  sampler.reset();
  replay.reset();
  EXPECT_EQ(found.difference(plan, 3, 0, index.view(), stream->get()), "");
  EXPECT_EQ(replayed.difference(plan, 0, 0, index.view(), stream->get()), "");
}

TEST_P(device_contract, uses_the_requested_membership) {
  const device_sampler sampler(edge_dataset(), {}, options());
  const std::string name = GetParam() == core::membership::bitset        ? "bitset"
                           : GetParam() == core::membership::bloom_filter ? "filter"
                                                                         : "search";
  EXPECT_NE(sampler.description().find(name), std::string::npos) << sampler.description();
}

TEST_P(device_contract, training_batches_equal_the_cpu) {
  for (const padding_policy padding : every_padding) {
    expect_batches(long_dataset(), {.seed = 5, .negatives = 2, .batch_size = 9001, .padding = padding});
    expect_batches(edge_dataset(), {.seed = 6, .negatives = 4, .epochs_per_cycle = 2, .batch_size = 700,
                                    .padding = padding});
    expect_batches(random_dataset({3, 5}, 40, 1), {.seed = 7, .negatives = 1, .batch_size = 5, .padding = padding});
    if (HasFatalFailure()) return;
  }
}

TEST_P(device_contract, catalogues_of_more_than_65536_items_equal_the_cpu) {
  expect_batches(long_dataset(70'000),
                 {.seed = 5, .negatives = 1, .batch_size = 9000, .padding = padding_policy::mask});
  expect_evaluation(long_dataset(70'000), 5, {.negatives = 99, .batch_size = 700, .mlperf = true});
}

TEST_P(device_contract, weighted_batches_equal_the_cpu) {
  const dataset data = long_dataset();
  const positives_index index(data);
  std::vector<std::uint32_t> numbers(5000);
  for (std::uint32_t i = 0; i < 5000; ++i) numbers[i] = i % 3 == 0 ? i : 0;
  const item_weights weights(std::move(numbers));
  for (const padding_policy padding : every_padding) {
    sampler_options training{.seed = 5, .negatives = 2, .batch_size = 9001, .padding = padding};
    training.weights = weights;
    expect_batches(data, training);
    const device_sampler points(data, training, options());
    const batch_cursor last{.cycle = 3, .batch = points.batch_count() - 1};
    device_points next = points_for(points, data, 2);
    points.make_replay(last, 2).fill_next(next.columns(), stream->get());
    EXPECT_EQ(next.difference(points.plan(), last.cycle, last.batch, index.view(), stream->get()), "");
    training.layout = batch_layout::pairwise;
    const device_sampler rows(data, training, options());
    device_pairs found(rows.plan(), item_type::uint16, *memory, stream->get());
    for (const std::uint64_t batch : {std::uint64_t{0}, rows.batch_count() - 1}) {
      rows.fill(7, batch, found.columns(), stream->get());
      EXPECT_EQ(found.difference(7, batch, index.view(), stream->get()), "") << "batch " << batch;
    }
  }
}

TEST_P(device_contract, weighted_evaluation_rows_equal_the_cpu) {
  std::vector<std::uint32_t> numbers(5000);
  for (std::uint32_t i = 0; i < 5000; ++i) numbers[i] = i % 3 == 0 ? i : i % 1000 == 1 ? 1'000'000 : 0;
  evaluation_options evaluation{.negatives = 99, .batch_size = 300, .weights = item_weights(numbers)};
  expect_evaluation(long_dataset(), 5, evaluation);
  evaluation.mlperf = true;
  expect_evaluation(long_dataset(), 5, evaluation);
  evaluation = {.negatives = 5000, .batch_size = 5001, .mlperf = true, .weights = item_weights(numbers)};
  expect_evaluation(long_dataset(), 5, evaluation);  // its masks need a workspace
}

TEST_P(device_contract, pairwise_batches_equal_the_cpu) {
  const dataset data = long_dataset();
  const positives_index index(data);
  for (const padding_policy padding : every_padding) {
    for (const std::uint32_t negatives : {0U, 1U, 3U, 8U}) {
      const device_sampler sampler(data,
                                   {.seed = 3,
                                    .negatives = negatives,
                                    .batch_size = 3'001,
                                    .padding = padding,
                                    .layout = batch_layout::pairwise},
                                   options());
      device_pairs found(sampler.plan(), item_type::uint16, *memory, stream->get());
      for (const std::uint64_t batch : {std::uint64_t{0}, sampler.batch_count() - 1}) {
        found.clear(stream->get());
        sampler.fill(7, batch, found.columns(), stream->get());
        ASSERT_EQ(found.difference(7, batch, index.view(), stream->get()), "")
            << negatives << " negatives, batch " << batch;
      }
    }
  }
}

// Positions of batches that begin before and end after 2^32 and 2^40, and of the last one.
TEST_P(device_contract, batches_past_32_and_40_bits_equal_the_cpu) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  for (const padding_policy padding : every_padding) {
    for (const batch_layout layout : {batch_layout::pointwise, batch_layout::pairwise}) {
      const device_sampler sampler(data,
                                   {.seed = 3,
                                    .negatives = 4,
                                    .epochs_per_cycle = 0xFFFFFFFFU,
                                    .batch_size = 1000,
                                    .padding = padding,
                                    .layout = layout},
                                   options());
      const std::uint64_t last = sampler.batch_count() - 1;
      const std::uint64_t batches[] = {(1ULL << 32) / 1000, (1ULL << 40) / 1000, last - 1, last};
      for (const std::uint64_t batch : batches) {
        SCOPED_TRACE("batch " + std::to_string(batch) + " of " + std::to_string(last));
        if (layout == batch_layout::pairwise) {
          device_pairs rows(sampler.plan(), item_type::uint16, *memory, stream->get());
          sampler.fill(5, batch, rows.columns(), stream->get());
          ASSERT_EQ(rows.difference(5, batch, index.view(), stream->get()), "");
          continue;
        }
        device_points points = points_for(sampler, data);
        sampler.fill(5, batch, points.columns(), stream->get());
        ASSERT_EQ(points.difference(sampler.plan(), 5, batch, index.view(), stream->get()), "");
        points.clear(stream->get());
        const device_replay replay = sampler.make_replay({.cycle = 5, .batch = batch});
        replay.fill_next(points.columns(), stream->get());
        ASSERT_EQ(points.difference(sampler.plan(), 5, batch, index.view(), stream->get()), "");
      }
    }
  }
}

TEST_P(device_contract, pairwise_fills_can_be_captured) {
  const dataset data = long_dataset(70'000);
  const positives_index index(data);
  const device_sampler sampler(
      data, {.seed = 1, .negatives = 5, .batch_size = 1000, .layout = batch_layout::pairwise}, options());
  device_pairs rows(sampler.plan(), item_type::int32, *memory, stream->get());
  const cuda::captured_graph graph(stream->get(), [&] { sampler.fill(4, 0, rows.columns(), stream->get()); });
  for (int launch = 0; launch < 2; ++launch) {
    rows.clear(stream->get());
    graph.launch(stream->get());
    EXPECT_EQ(rows.difference(4, 0, index.view(), stream->get()), "");
  }
}

TEST_P(device_contract, several_batches_of_one_call_equal_single_batches) {
  const dataset data = long_dataset();
  const positives_index index(data);
  for (const padding_policy padding : every_padding) {
    for (const std::uint64_t batch_size : {9001ULL, 40'000ULL}) {
      if (batch_size == 40'000 && padding == padding_policy::drop) continue;
      const device_sampler sampler(data, {.seed = 3, .negatives = 1, .batch_size = batch_size, .padding = padding},
                                   options());
      for (std::uint64_t first = 0; first < sampler.batch_count(); ++first) {
        for (std::uint64_t count = 1; count <= sampler.batch_count() - first; ++count) {
          device_points found = points_for(sampler, data, count);
          sampler.fill(2, first, count, found.columns(), stream->get());
          ASSERT_EQ(found.difference(sampler.plan(), 2, first, index.view(), stream->get()), "")
              << first << " + " << count;
        }
      }
    }
  }
}

TEST_P(device_contract, evaluation_batches_equal_the_cpu) {
  const dataset data = long_dataset();
  expect_evaluation(data, 8, {.negatives = 1, .batch_size = 6});
  expect_evaluation(random_dataset({0, 1, 20, 700, 1099, 1000, 0, 1035, 1036}, 1200, 3),
                    8, {.negatives = 99, .batch_size = 400});
  for (const std::uint32_t negatives : {1U, 99U, 999U, 1500U, 5000U}) {
    const std::uint64_t row = negatives + 1ULL;
    expect_evaluation(data, 9, {.negatives = negatives, .batch_size = 3 * row, .mlperf = true});
    if (HasFatalFailure()) return;
  }
}

TEST_P(device_contract, fills_can_be_captured) {
  const dataset data = long_dataset();
  const positives_index index(data);
  const device_sampler sampler(
      data,
      {.seed = 1,
       .batch_size = 3000,
       .evaluation = evaluation_options{.negatives = 5000, .batch_size = 10'002, .mlperf = true}},
      options());
  device_points points = points_for(sampler, data);
  device_rows rows(10'002, item_type::uint16, *memory, stream->get());
  cuda::device_buffer<std::byte> workspace(sampler.evaluation_workspace_bytes(), *memory, stream->get());
  const cuda::captured_graph graph(stream->get(), [&] {
    sampler.fill(4, 7, points.columns(), stream->get());
    sampler.fill_evaluation(2, rows.columns(), {workspace.data(), workspace.size()}, stream->get());
  });
  for (int launch = 0; launch < 2; ++launch) {
    points.clear(stream->get());
    graph.launch(stream->get());
    EXPECT_EQ(points.difference(sampler.plan(), 4, 7, index.view(), stream->get()), "");
    EXPECT_EQ(rows.difference(*sampler.evaluation_plan(), 2, index.view(), stream->get()), "");
  }
}

TEST_P(device_contract, a_captured_replay_continues_over_cycle_ends) {
  const dataset data = long_dataset();
  const positives_index index(data);
  for (const padding_policy padding : every_padding) {
    const device_sampler sampler(data, {.seed = 3, .negatives = 0, .batch_size = 4001, .padding = padding},
                                 options());
    for (const std::uint32_t batches : {1U, 2U}) {
      batch_cursor at{.cycle = 6, .batch = sampler.batch_count() - 2};
      const device_replay replay = sampler.make_replay(at, batches);
      device_points found = points_for(sampler, data, batches);
      const cuda::captured_graph graph(stream->get(), [&] { replay.fill_next(found.columns(), stream->get()); });
      for (int launch = 0; launch < 4; ++launch) {
        found.clear(stream->get());
        graph.launch(stream->get());
        ASSERT_EQ(found.difference(sampler.plan(), at.cycle, at.batch, index.view(), stream->get()), "")
            << "cycle " << at.cycle << ", batch " << at.batch;
        at.batch += batches;
        if (at.batch >= sampler.batch_count()) at = {at.cycle + 1, at.batch - sampler.batch_count()};
        const batch_cursor next = replay.position(stream->get());
        ASSERT_EQ(next.cycle, at.cycle);
        ASSERT_EQ(next.batch, at.batch);
      }
      replay.seek({0, 1}, stream->get());
      graph.launch(stream->get());
      EXPECT_EQ(found.difference(sampler.plan(), 0, 1, index.view(), stream->get()), "");
    }
  }
}

TEST_P(device_contract, a_replay_works_for_every_size_of_permutation) {
  for (const std::int32_t positives : {1, 2, 33, 64, 65, 1023, 1024, 5000}) {
    const dataset data = random_dataset({positives / 2, positives - positives / 2}, 6000, 3);
    const positives_index index(data);
    const std::uint64_t batch_size = positives < 3 ? 1 : static_cast<std::uint64_t>(positives) / 3;
    const device_sampler sampler(data, {.seed = 5, .negatives = 0, .batch_size = batch_size}, options());
    const auto batches = static_cast<std::uint32_t>(sampler.batch_count());
    const device_replay replay = sampler.make_replay({.cycle = 2, .batch = 0}, batches);
    device_points found = points_for(sampler, data, batches);
    for (const std::uint32_t cycle : {2U, 3U}) {
      replay.fill_next(found.columns(), stream->get());
      ASSERT_EQ(found.difference(sampler.plan(), cycle, 0, index.view(), stream->get()), "") << positives;
    }
  }
}

TEST_P(device_contract, fills_and_replays_on_several_streams_are_independent) {
  const dataset data = long_dataset();
  const positives_index index(data);
  const device_sampler sampler(data, {.seed = 2, .batch_size = 2000}, options());
  std::vector<cuda::stream> streams(4);
  std::vector<device_points> found;
  std::vector<device_replay> replays;
  for (std::size_t s = 0; s < streams.size(); ++s) {
    found.push_back(points_for(sampler, data));
    replays.push_back(sampler.make_replay({.cycle = static_cast<std::uint32_t>(s), .batch = 0}));
  }
  stream->synchronize();  // the columns are cleared
  for (int repeat = 0; repeat < 3; ++repeat) {
    for (std::size_t s = 0; s < streams.size(); ++s) {
      if (s % 2 == 0) {
        sampler.fill(9, s, found[s].columns(), streams[s].get());
      } else {
        replays[s].fill_next(found[s].columns(), streams[s].get());
      }
    }
  }
  for (std::size_t s = 0; s < streams.size(); ++s) {
    const std::uint32_t cycle = s % 2 == 0 ? 9 : static_cast<std::uint32_t>(s);
    EXPECT_EQ(found[s].difference(sampler.plan(), cycle, s % 2 == 0 ? s : 2, index.view(), streams[s].get()), "")
        << "stream " << s;
  }
}

}  // namespace
}  // namespace negpipe::test
