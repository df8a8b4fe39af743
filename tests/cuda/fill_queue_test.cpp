// The queue of the CUDA backend: the columns of fills that wait, at any alignment, and the records of the CPU.
#include "negpipe/fill_queue.hpp"

#include <algorithm>
#include <vector>

#include "cuda_backend.hpp"
#include "device.hpp"
#include "equality/reference_columns.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "support/datasets.hpp"
#include "support/folder_content.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::test {
namespace {

/// Page-locked columns between guards, at odd addresses.
class scattered_columns {
 public:
  scattered_columns(const backend& filler, const std::vector<std::uint64_t>& sizes) {
    std::uint64_t total = gap;
    for (const std::uint64_t size : sizes) total += size + gap;
    memory_ = filler.allocate_host(total);
    all_ = {memory_.get(), total};
    std::ranges::fill(all_, std::byte{0xA5});
    std::uint64_t begin = gap;
    for (const std::uint64_t size : sizes) {
      columns_.push_back(all_.subspan(begin, size));
      begin += size + gap;
    }
  }

  column_bytes columns() const { return columns_; }
  /// Returns whether the columns have the wanted bytes and nothing else was written.
  bool hold(const std::vector<std::span<const std::byte>>& wanted) const {
    std::vector<std::byte> expected(all_.size(), std::byte{0xA5});
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      std::ranges::copy(wanted[c], expected.begin() + (columns_[c].data() - all_.data()));
    }
    return std::ranges::equal(all_, expected);
  }

 private:
  static constexpr std::uint64_t gap = 13;
  std::shared_ptr<std::byte[]> memory_;
  std::span<std::byte> all_;
  std::vector<std::span<std::byte>> columns_;
};

std::span<const std::byte> bytes_of(const item_column& items) {
  return {static_cast<const std::byte*>(items.data()), items.size_bytes()};
}

class queue_test : public device_test, public testing::WithParamInterface<std::size_t> {
 protected:
  // The parameter is the buffers' size: batches of several pieces, and of one.
  std::unique_ptr<backend> make(const positives_index& index, const dataset_weights& weights = {}) const {
    return cuda::make_backend_on({0}, index, {cuda::membership_form::automatic, 128, GetParam()}, {weights});
  }

  void expect_pairs(const dataset& data, std::uint32_t negatives, const dataset_weights& weights = {}) {
    const positives_index index(data);
    const auto filler = make(index, weights);
    training_plan plan = plan_training(data, {3, negatives, 1, 77, padding_policy::mask, batch_layout::pairwise});
    if (weights.draw() != nullptr) plan.weights = *weights.draw();
    const core::cycle_key key = make_cycle_key(plan, 5);
    const scattered_columns found(*filler, {4 * 77, 2 * 77, 2 * 77 * negatives, 77});
    const auto queue = filler->make_queue();
    const std::uint64_t first = plan.padded_count() - 77;
    queue->push_pairs(plan, key, first, 77, found.columns());
    queue->pop();
    pair_buffer wanted(77, negatives, item_type::uint16, true);
    const pair_columns rows = wanted.columns();
    write_reference_pairs(plan, key, index.view(), first, 77, rows);
    EXPECT_TRUE(found.hold(
        {std::as_bytes(rows.users), bytes_of(rows.items), bytes_of(rows.negatives), std::as_bytes(rows.valid)}))
        << negatives;
  }

  void expect_points(const dataset& data, const training_options& options, const dataset_weights& weights = {}) {
    const positives_index index(data);
    const auto filler = make(index, weights);
    training_plan plan = plan_training(data, options);
    if (weights.draw() != nullptr) plan.weights = *weights.draw();
    const core::cycle_key key = make_cycle_key(plan, 5);
    const item_type width = item_type_for(data.item_count());
    const bool masked = plan.pad == padding_policy::mask;
    std::vector<std::uint64_t> sizes{4 * plan.batch_size, item_bytes(width) * plan.batch_size, plan.batch_size};
    if (masked) sizes.push_back(plan.batch_size);
    std::vector<scattered_columns> found;
    for (std::uint64_t b = 0; b < plan.batch_count; ++b) found.emplace_back(*filler, sizes);
    const auto queue = filler->make_queue();
    const auto push = [&](std::uint64_t b) {
      queue->push_training(plan, key, b * plan.batch_size, plan.batch_size, found[b].columns());
    };
    push(0);
    for (std::uint64_t b = 0; b < plan.batch_count; ++b) {
      if (b + 1 < plan.batch_count) push(b + 1);  // two in flight
      queue->pop();
      point_buffer wanted(plan.batch_size, width, masked);
      const training_columns points = wanted.columns();
      write_reference_points(plan, key, index.view(), b * plan.batch_size, plan.batch_size, points);
      EXPECT_TRUE(found[b].hold({std::as_bytes(points.users), bytes_of(points.items), std::as_bytes(points.labels),
                                 std::as_bytes(points.valid)}))
          << "batch " << b << " of " << plan.batch_count;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(buffers, queue_test, testing::Values(4096U, 1U << 20),
                         [](const auto& size) { return size.param == 4096 ? "of_4_KiB" : "of_1_MiB"; });

TEST_P(queue_test, points_equal_core) {
  expect_points(edge_dataset(), {3, 4, 1, 500, padding_policy::resample});
  expect_points(edge_dataset(), {3, 2, 3, 333, padding_policy::mask});
  expect_points(random_dataset({700, 0, 1, 300}, 70'000, 5), {3, 4, 1, 1001, padding_policy::drop});
}

TEST_P(queue_test, pairs_equal_core) {
  for (const std::uint32_t negatives : {0U, 3U}) expect_pairs(edge_dataset(), negatives);
}

// Weights of which every fourth is 0.
item_weights uneven_weights(std::uint32_t item_count) {
  std::vector<std::uint32_t> numbers(item_count);
  for (std::uint32_t i = 0; i < item_count; ++i) numbers[i] = i % 4 * i;
  return item_weights(std::move(numbers));
}

TEST_P(queue_test, weighted_points_and_pairs_equal_core) {
  const dataset data = random_dataset({3, 0, 20, 7, 30}, 60, 2);
  const dataset_weights weights(data, uneven_weights(60));
  expect_points(data, {3, 4, 1, 120, padding_policy::mask}, weights);
  expect_pairs(data, 3, weights);
}

TEST_P(queue_test, evaluation_rows_equal_core) {
  const dataset data = random_dataset({3, 0, 20, 7, 30}, 60, 2);
  const positives_index index(data);
  const dataset_weights weights(data, uneven_weights(60));
  const auto filler = make(index, weights);
  for (const auto& [mlperf, by_weight] : {std::pair(false, false), {true, false}, {false, true}, {true, true}}) {
    evaluation_options options{20, 63, mlperf};
    if (by_weight) options.weights = weights.items();
    evaluation_plan plan = plan_evaluation(data, options, 9);
    if (by_weight) plan.weights = *weights.draw();
    std::vector<scattered_columns> found;
    for (int b = 0; b < 2; ++b) found.emplace_back(*filler, std::vector<std::uint64_t>{4 * 63, 2 * 63, 63});
    const auto queue = filler->make_queue();
    for (std::uint64_t b = 0; b < 2; ++b) queue->push_evaluation(plan, 3 * b, 3, found[b].columns());
    for (std::uint64_t b = 0; b < 2; ++b) {
      queue->pop();
      row_buffer wanted(63, item_type::uint16);
      const evaluation_columns rows = wanted.columns();
      write_reference_rows(plan, index.view(), 3 * b, 3, rows);
      EXPECT_TRUE(
          found[b].hold({std::as_bytes(rows.users), bytes_of(rows.items), std::as_bytes(rows.duplicate_mask)}))
          << mlperf << by_weight << ", batch " << b;
    }
  }
}

TEST_P(queue_test, its_end_waits_for_all_fills) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, {1, 4, 1, 600, padding_policy::drop});
  const core::cycle_key key = make_cycle_key(plan, 0);
  const scattered_columns found(*filler, {4 * 600, 2 * 600, 600});
  filler->make_queue()->push_training(plan, key, 0, 600, found.columns());
  point_buffer wanted(600, item_type::uint16, false);
  const training_columns points = wanted.columns();
  write_reference_points(plan, key, index.view(), 0, 600, points);
  EXPECT_TRUE(found.hold({std::as_bytes(points.users), bytes_of(points.items), std::as_bytes(points.labels)}));
}

TEST_P(queue_test, refuses_what_does_not_fit) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::mask});
  const core::cycle_key key = make_cycle_key(plan, 0);
  const auto queue = filler->make_queue();
  const scattered_columns right(*filler, {32, 16, 8, 8});
  const scattered_columns three(*filler, {32, 16, 8});
  const scattered_columns wide_items(*filler, {32, 32, 8, 8});
  const scattered_columns short_users(*filler, {31, 16, 8, 8});
  expect_refused("columns: 3 given, 4 wanted", [&] { queue->push_training(plan, key, 0, 8, three.columns()); });
  expect_refused("items has 32 bytes, 16", [&] { queue->push_training(plan, key, 0, 8, wide_items.columns()); });
  expect_refused("users has 31 bytes, 32", [&] { queue->push_training(plan, key, 0, 8, short_users.columns()); });
  const std::uint64_t last = plan.padded_count() - 7;
  expect_refused("request a range inside", [&] { queue->push_training(plan, key, last, 8, right.columns()); });
  expect_refused("layout", [&] { queue->push_pairs(plan, key, 0, 8, right.columns()); });
  queue->push_training(plan, key, 0, 8, right.columns());  // the queue still works
  queue->pop();
}

// Files of the whole pipeline, in which batches are queued into records.
TEST(records_on_a_device, equal_those_of_the_cpu) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  const dataset data = random_dataset({3, 20, 1, 0, 35, 12, 7}, 60, 11);
  for (const padding_policy padding : {padding_policy::resample, padding_policy::mask}) {
    for (const batch_layout layout : {batch_layout::pointwise, batch_layout::pairwise}) {
      const bool is_weighted = (padding == padding_policy::mask) == (layout == batch_layout::pointwise);
      const item_weights weights = is_weighted ? popularity_weights(data, 0.75) : item_weights();
      const evaluation_options evaluation{.negatives = 10, .batch_size = 22, .weights = weights};
      temporary_folder folder;
      for (const char* device : {"cpu", "cuda"}) {
        const sampler source(data, {.seed = 4,
                                    .negatives = 3,
                                    .batch_size = 37,
                                    .padding = padding,
                                    .layout = layout,
                                    .evaluation = evaluation,
                                    .weights = weights,
                                    .device = device});
        const bool packed = padding == padding_policy::mask;
        generate(source,
                 {.out = folder / device,
                  .readers = 2,
                  .compression = packed ? compression_type::gzip : compression_type::none},
                 {.threads = 3});
      }
      EXPECT_EQ(differing_files(folder / "cpu", folder / "cuda"), "");
    }
  }
}

}  // namespace
}  // namespace negpipe::test
