// device_sampler rejects invalid arguments, and preserves the caller's memory, device and pending error.
#include <map>

#include "device.hpp"
#include "device_columns.hpp"
#include "negpipe/device.hpp"
#include "negpipe/error.hpp"
#include "support/datasets.hpp"
#include "support/refusal.hpp"

namespace negpipe::test {
namespace {

class device_checks : public device_test {
 protected:
  void SetUp() override {
    device_test::SetUp();
    if (stream == nullptr) return;
    const evaluation_options evaluation{.negatives = 9, .batch_size = 20, .mlperf = true};
    sampler.emplace(edge_dataset(70'000),
                    sampler_options{.batch_size = 64, .padding = padding_policy::mask, .evaluation = evaluation},
                    device_options{.stream = stream->get()});
    points.emplace(64, item_type::int32, true, *memory, stream->get());
    rows.emplace(20, item_type::int32, *memory, stream->get());
  }
  void TearDown() override {
    points.reset();
    rows.reset();
    sampler.reset();
    device_test::TearDown();
  }

  void expect_fill_refused(const std::string& named, const training_columns& columns) {
    expect_refused(named, [&] { sampler->fill(0, 0, columns, stream->get()); });
    const device_replay replay = sampler->make_replay();
    expect_refused(named, [&] { replay.fill_next(columns, stream->get()); });
    EXPECT_TRUE(points->is_untouched(stream->get())) << named;
  }

  std::optional<device_sampler> sampler;
  std::optional<device_points> points;
  std::optional<device_rows> rows;
};

TEST_F(device_checks, reject_training_columns_that_do_not_fit) {
  const training_columns good = points->columns();
  std::vector<std::int32_t> on_the_host(64);
  training_columns bad = good;
  bad.users = on_the_host;
  expect_fill_refused("users lies in host memory", bad);
  bad = good;
  bad.labels = good.labels.first(63);
  expect_fill_refused("labels has room for 63 values", bad);
  bad = good;
  bad.items = item_column(good.items.data(), item_type::uint16, 64);
  expect_fill_refused("items is of type uint16", bad);
  bad = good;
  bad.items = item_column(static_cast<std::byte*>(good.items.data()) + 2, item_type::int32, 64);
  expect_fill_refused("items begins at", bad);
  bad = good;
  bad.valid = {};
  expect_fill_refused("valid is missing", bad);
  sampler->fill(0, 0, good, stream->get());
  EXPECT_FALSE(points->is_untouched(stream->get()));
}

TEST_F(device_checks, reject_pinned_host_memory) {
  cuda::pinned_buffer<std::int32_t> pinned(64);
  training_columns bad = points->columns();
  bad.users = {pinned.data(), 64};
  expect_fill_refused("users lies in host memory", bad);
}

TEST_F(device_checks, reject_batches_that_do_not_exist) {
  const std::uint64_t count = sampler->batch_count();
  const auto fill = [&](std::uint64_t first, std::uint64_t batches) {
    return [&, first, batches] { sampler->fill(0, first, batches, points->columns(), stream->get()); };
  };
  expect_refused("batches", fill(count, 1));
  expect_refused("batches", fill(count - 1, 2));
  expect_refused("batches", fill(1, ~0ULL));
  EXPECT_NO_THROW(fill(count, 0)());
  expect_refused("evaluation batch", [&] {
    sampler->fill_evaluation(sampler->evaluation_batch_count(), rows->columns(), {}, stream->get());
  });
  expect_refused("batch", [&] { sampler->make_replay({.cycle = 0, .batch = count}); });
  expect_refused("batch", [&] { sampler->make_replay().seek({.cycle = 0, .batch = count}, stream->get()); });
  expect_refused("batches_per_fill", [&] { sampler->make_replay({}, 0); });
}

TEST_F(device_checks, reject_columns_of_the_other_layout_and_replays_of_rows) {
  const device_sampler pairs(edge_dataset(), {.batch_size = 64, .layout = batch_layout::pairwise},
                             {.stream = stream->get()});
  device_pairs rows_of_pairs(pairs.plan(), item_type::int32, *memory, stream->get());
  expect_refused("layout", [&] { pairs.fill(0, 0, points->columns(), stream->get()); });
  expect_refused("layout", [&] { sampler->fill(0, 0, rows_of_pairs.columns(), stream->get()); });
  expect_refused("layout", [&] { pairs.make_replay(); });
  expect_refused("batch", [&] { pairs.fill(0, pairs.batch_count(), rows_of_pairs.columns(), stream->get()); });
  pair_columns bad = rows_of_pairs.columns();
  std::vector<std::int32_t> on_the_host(64 * 4);
  bad.negatives = on_the_host;
  expect_refused("negatives lies in host memory", [&] { pairs.fill(0, 0, bad, stream->get()); });
}

TEST_F(device_checks, reject_evaluation_without_a_plan_or_workspace) {
  const device_sampler plain(edge_dataset(), {}, {.stream = stream->get()});
  expect_refused("`evaluation`", [&] { plain.fill_evaluation(0, rows->columns(), {}, stream->get()); });
  const evaluation_options evaluation{.negatives = 5000, .batch_size = 5001, .mlperf = true};
  const device_sampler long_rows(edge_dataset(), {.evaluation = evaluation}, {.stream = stream->get()});
  device_rows found(5001, item_type::uint16, *memory, stream->get());
  ASSERT_GT(long_rows.evaluation_workspace_bytes(), 0U);
  expect_refused("workspace: 0 bytes", [&] { long_rows.fill_evaluation(0, found.columns(), {}, stream->get()); });
  std::vector<std::byte> on_the_host(long_rows.evaluation_workspace_bytes());
  expect_refused("workspace lies in host memory",
                 [&] { long_rows.fill_evaluation(0, found.columns(), on_the_host, stream->get()); });
}

TEST_F(device_checks, reject_a_device_that_does_not_exist) {
  expect_refused("device: 99", [&] { device_sampler(edge_dataset(), {}, {.device = 99}); });
  expect_refused("device: -1", [&] { device_sampler(edge_dataset(), {}, {.device = -1}); });
  expect_refused("allocator", [&] {
    device_sampler(edge_dataset(), {}, {.allocator = {.allocate = [](void*, std::size_t, device_stream) -> void* {
                                              return nullptr;
                                            }}});
  });
}

/// An allocator that counts, and fails after some allocations.
struct counting_allocator {
  std::size_t left = ~std::size_t{0};
  std::size_t calls = 0;
  std::map<void*, std::size_t> lent;

  device_allocator hook() {
    return {this,
            [](void* context, std::size_t bytes, device_stream) -> void* {
              auto& self = *static_cast<counting_allocator*>(context);
              void* pointer = nullptr;
              if (self.left-- == 0 || cudaMalloc(&pointer, bytes) != cudaSuccess) return nullptr;
              ++self.calls;
              self.lent[pointer] = bytes;
              return pointer;
            },
            [](void* context, void* pointer, std::size_t bytes, device_stream) noexcept {
              auto& self = *static_cast<counting_allocator*>(context);
              EXPECT_EQ(self.lent.at(pointer), bytes);
              self.lent.erase(pointer);
              cuda::ignore(cudaFree(pointer));
            }};
  }
};

TEST_F(device_checks, equal_weights_for_training_and_evaluation_are_uploaded_once) {
  const dataset data = random_dataset({3, 4}, 20, 5);
  std::vector<std::uint32_t> values(static_cast<std::size_t>(data.item_count()), 5);
  const auto allocations = [&](const item_weights& training, const item_weights& of_evaluation) {
    counting_allocator counting;
    const evaluation_options evaluation{.negatives = 1, .batch_size = 2, .weights = of_evaluation};
    const device_sampler sampled(data, {.batch_size = 2, .evaluation = evaluation, .weights = training},
                                 {.stream = stream->get(), .allocator = counting.hook()});
    stream->synchronize();
    return counting.calls;
  };
  const item_weights equal(values);
  values.front() = 6;
  const item_weights other(values);
  constexpr std::size_t tables = 3;  // columns, sums of items, sums of rows
  const std::size_t none = allocations({}, {});
  EXPECT_EQ(allocations(equal, item_weights(equal)), none + tables);
  EXPECT_EQ(allocations(equal, other), none + 2 * tables);
  EXPECT_EQ(allocations({}, equal), none + tables);
}

TEST_F(device_checks, the_callers_allocator_serves_construction_and_gets_everything_back) {
  counting_allocator counting;
  const auto users = upload(std::vector<std::int32_t>{0, 0, 0, 1, 1});
  const auto items = upload(std::vector<std::int32_t>{0, 1, 2, 0, 3});
  const device_interactions columns{2, 5, {users.data(), 5}, {items.data(), 5}};
  {
    const device_sampler sampled(columns,
                                 {.batch_size = 2, .evaluation = evaluation_options{.negatives = 1, .batch_size = 2}},
                                 {.stream = stream->get(), .allocator = counting.hook()});
    const device_replay replay = sampled.make_replay();
    const std::size_t calls = counting.calls;
    EXPECT_GT(calls, 0U);
    device_points two(2, item_type::uint16, false, *memory, stream->get());
    device_rows row(2, item_type::uint16, *memory, stream->get());
    sampled.fill(0, 0, two.columns(), stream->get());
    replay.fill_next(two.columns(), stream->get());
    sampled.fill_evaluation(0, row.columns(), {}, stream->get());
    EXPECT_EQ(counting.calls, calls);
    stream->synchronize();
  }
  EXPECT_TRUE(counting.lent.empty());
  const std::size_t all = counting.calls;
  for (std::size_t allowed = 0; allowed < all; ++allowed) {
    counting_allocator refusing{.left = allowed};
    const auto build = [&] {
      const device_sampler sampled(columns, {.batch_size = 2}, {.stream = stream->get(), .allocator = refusing.hook()});
      static_cast<void>(sampled.make_replay());
    };
    EXPECT_THROW(build(), device_memory_error) << allowed << " allocations";
    EXPECT_TRUE(refusing.lent.empty()) << allowed << " allocations";
  }
}

// A pending error of the caller is neither reported as one of negpipe's nor cleared.
TEST_F(device_checks, a_pending_error_of_the_caller_stays_pending) {
  const auto users = upload(std::vector<std::int32_t>{0, 0, 0, 1, 1});
  const auto items = upload(std::vector<std::int32_t>{0, 1, 2, 0, 3});
  const positives_index index(edge_dataset(70'000));
  ASSERT_NE(cudaSetDevice(1 << 20), cudaSuccess);
  const cudaError_t pending = cudaPeekAtLastError();
  ASSERT_NE(pending, cudaSuccess);
  {
    const device_sampler uploaded(edge_dataset(70'000), {}, {.stream = stream->get()});
    const device_sampler built(device_interactions{2, 5, {users.data(), 5}, {items.data(), 5}}, {},
                               {.stream = stream->get()});
    EXPECT_EQ(built.plan().positive_count, 3U);
    const device_replay replay = sampler->make_replay();
    sampler->fill(0, 0, points->columns(), stream->get());
    replay.fill_next(points->columns(), stream->get());
    sampler->fill_evaluation(0, rows->columns(), {}, stream->get());
    expect_refused("batches", [&] { sampler->fill(0, 1, ~0ULL, points->columns(), stream->get()); });
    EXPECT_EQ(points->difference(sampler->plan(), 0, 0, index.view(), stream->get()), "");
  }
  EXPECT_EQ(cudaGetLastError(), pending);
}

class two_devices : public device_test {
 protected:
  void SetUp() override {
    device_test::SetUp();
    int count = 0;
    if (stream != nullptr && (cudaGetDeviceCount(&count) != cudaSuccess || count < 2)) {
      GTEST_SKIP() << "this machine has one device";
    }
  }
};

TEST_F(two_devices, keep_the_callers_device_current_and_reject_columns_of_another_device) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  const auto current = [] {
    int device = -1;
    NEGPIPE_CUDA_CHECK(cudaGetDevice(&device));
    return device;
  };
  device_points elsewhere(64, item_type::uint16, false, *memory, stream->get());
  NEGPIPE_CUDA_CHECK(cudaSetDevice(1));
  {
    const auto there = cuda::make_pool_memory();
    const cuda::stream work;
    device_points found(64, item_type::uint16, false, *there, work.get());
    NEGPIPE_CUDA_CHECK(cudaSetDevice(0));
    {
      const device_sampler sampler(data, {.batch_size = 64}, {.device = 1, .stream = work.get()});
      EXPECT_EQ(current(), 0);
      sampler.fill(2, 1, found.columns(), work.get());
      EXPECT_EQ(current(), 0);
      EXPECT_EQ(found.difference(sampler.plan(), 2, 1, index.view(), work.get()), "");
      const device_replay replay = sampler.make_replay();
      replay.fill_next(found.columns(), work.get());
      EXPECT_EQ(found.difference(sampler.plan(), 0, 0, index.view(), work.get()), "");
      expect_refused("users lies in memory of the device cuda:0",
                     [&] { sampler.fill(0, 0, elsewhere.columns(), work.get()); });
      EXPECT_EQ(current(), 0);
    }
    EXPECT_EQ(current(), 0);
    NEGPIPE_CUDA_CHECK(cudaSetDevice(1));
  }
  NEGPIPE_CUDA_CHECK(cudaSetDevice(0));
}

}  // namespace
}  // namespace negpipe::test
