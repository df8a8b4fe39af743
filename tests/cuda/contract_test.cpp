// Instantiates the backend contract for CUDA: every membership form, several block sizes, pieces that cut rows and
// blocks of four, one device and several.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "cuda_backend.hpp"
#include "device.hpp"
#include "equality/backend_contract.hpp"
#include "equality/backend_refusals.hpp"
#include "equality/pair_contract.hpp"
#include "equality/weighted_contract.hpp"

namespace negpipe::test {
namespace {

using cuda::membership_form;

backend_case with_options(const char* name, const cuda::cuda_backend_options& options) {
  return {name,
          [options](const positives_index& index, const std::vector<dataset_weights>& weights) {
            return cuda::make_backend_on({0}, index, options, weights);
          },
          options.form == membership_form::automatic ? "cuda (0: " : cuda::name_of(options.form)};
}

std::vector<int> every_device() {
  int count = 0;
  NEGPIPE_CUDA_CHECK(cudaGetDeviceCount(&count));
  std::vector<int> devices(static_cast<std::size_t>(count));
  std::iota(devices.begin(), devices.end(), 0);
  return devices;
}

std::vector<backend_case> cases() {
  if (!cuda_status().available) return {};
  constexpr std::size_t small_buffer = 2048;  // 200 points: most calls take several pieces
  constexpr std::size_t buffer = 1U << 16;
  return {with_options("bitset", {membership_form::bitset, 256, buffer}),
          with_options("bloom_filter", {membership_form::bloom_filter, 64, buffer}),
          with_options("sorted_search", {membership_form::sorted_search, 32, small_buffer}),
          {"pieces_by_all_devices",
           [=](const positives_index& index, const std::vector<dataset_weights>& weights) {
             return cuda::make_backend_on(every_device(), index, {membership_form::automatic, 128, small_buffer},
                                          weights);
           },
           "cuda (0: "},
          {"all_devices",
           [](const positives_index& index, const std::vector<dataset_weights>& weights) {
             return make_cuda_backend("cuda:all", index, weights);
           },
           "cuda (0: "}};
}

// The last case differs from the others in the choice of devices only.
std::vector<backend_case> cases_but_the_last() {
  std::vector<backend_case> some = cases();
  if (!some.empty()) some.pop_back();
  return some;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(backend_contract);
INSTANTIATE_TEST_SUITE_P(cuda, backend_contract, testing::ValuesIn(cases()),
                         [](const auto& of) { return of.param.name; });

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(pair_contract);
INSTANTIATE_TEST_SUITE_P(cuda, pair_contract, testing::ValuesIn(cases_but_the_last()),
                         [](const auto& of) { return of.param.name; });

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(weighted_contract);
INSTANTIATE_TEST_SUITE_P(cuda, weighted_contract, testing::ValuesIn(cases_but_the_last()),
                         [](const auto& of) { return of.param.name; });

TEST(cuda_contract, plans_with_weights_that_the_backend_does_not_have_are_refused) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const dataset_weights known(data, some_weights(40));
  const dataset_weights same(data, some_weights(40));
  const auto filler = make_backend("cuda", index, 1, {known});
  training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::resample});
  const core::cycle_key key = make_cycle_key(plan, 0);
  training_batch points(8, item_type::uint16, false);
  const auto fill = [&] { filler->fill_training(plan, key, 0, 8, points.columns()); };
  for (const auto& [weights, accepted] : {std::pair(&known, true), std::pair(&same, false)}) {
    plan.weights = *weights->draw();
    if (accepted) {
      EXPECT_NO_THROW(fill());
      continue;
    }
    expect_refused(fill, {"weights", "make_backend"});
    training_plan rows = plan_training(data, pairwise({1, 4, 1, 8, padding_policy::resample}));
    rows.weights = plan.weights;
    pair_batch pairs(8, 4, item_type::uint16, false);
    expect_refused([&] { filler->fill_pairs(rows, make_cycle_key(rows, 0), 0, 8, pairs.columns()); }, {"weights"});
    evaluation_plan evaluation = plan_evaluation(data, {3, 4}, 1);
    evaluation.weights = plan.weights;
    evaluation_batch made(4, item_type::uint16);
    expect_refused([&] { filler->fill_evaluation(evaluation, 0, 1, made.columns()); }, {"weights"});
  }
}

// Columns of this backend must be host memory; device memory is rejected.
TEST(cuda_contract, backends_reject_columns_in_device_memory) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::resample});
  void* device = nullptr;
  ASSERT_EQ(cudaMalloc(&device, 64), cudaSuccess);
  point_buffer points(8, item_type::int32, false);
  for (const char* name : {"cpu", "cuda"}) {
    const auto filler = make_backend(name, index, 1);
    training_columns columns = points.columns();
    columns.users = {static_cast<std::int32_t*>(device), 8};
    expect_refused([&] { filler->fill_training(plan, make_cycle_key(plan, 0), 0, 8, columns); },
                   {"users", "memory of the device cuda:0", "host memory wanted"});
  }
  EXPECT_EQ(cudaFree(device), cudaSuccess);
}

TEST(cuda_contract, locates_memory) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  const int on_stack = 0;
  void* device = nullptr;
  void* pinned = nullptr;
  ASSERT_EQ(cudaMalloc(&device, 64), cudaSuccess);
  ASSERT_EQ(cudaMallocHost(&pinned, 64), cudaSuccess);
  EXPECT_EQ(memory_location_of(nullptr).space, memory_space::host);
  EXPECT_EQ(memory_location_of(&on_stack).space, memory_space::host);
  EXPECT_EQ(memory_location_of(pinned).space, memory_space::host);
  EXPECT_EQ(memory_location_of(device).space, memory_space::device);
  EXPECT_EQ(memory_location_of(static_cast<std::byte*>(device) + 8).space, memory_space::device);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
}

TEST(cuda_contract, fills_without_the_membership_structures_of_the_host) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  const dataset data = dataset_with_positives(100);
  const positives_index index = positives_index::deferred(data);
  const auto filler = make_backend("cuda", index, 1);
  const training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::resample});
  point_buffer points(8, item_type::int32, false);
  filler->fill_training(plan, make_cycle_key(plan, 0), 0, 8, points.columns());
  EXPECT_FALSE(index.is_built());
}

// Columns of allocate_host are page-locked, so that the device writes to them without a copy by the CPU.
TEST(cuda_contract, fills_page_locked_columns_in_several_pieces) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const training_plan plan = plan_training(data, {1, 4, 1, 500, padding_policy::resample});
  const auto filler = cuda::make_backend_on({0}, index, {membership_form::automatic, 128, 2048});
  constexpr std::size_t count = 500;
  const auto users = filler->allocate_host(count * 4);
  const auto items = filler->allocate_host(count * 4);
  const auto labels = filler->allocate_host(count);
  cudaPointerAttributes found{};
  NEGPIPE_CUDA_CHECK(cudaPointerGetAttributes(&found, users.get()));
  EXPECT_EQ(found.type, cudaMemoryTypeHost);
  const training_columns out{{reinterpret_cast<std::int32_t*>(users.get()), count},
                             {items.get(), item_type::int32, count},
                             {reinterpret_cast<std::int8_t*>(labels.get()), count},
                             {}};
  filler->fill_training(plan, make_cycle_key(plan, 0), 0, count, out);
  training_batch wanted(count, item_type::int32, false);
  make_backend("cpu", index, 1)->fill_training(plan, make_cycle_key(plan, 0), 0, count, wanted.columns());
  EXPECT_TRUE(std::ranges::equal(out.users, wanted.users()));
  EXPECT_TRUE(std::ranges::equal(out.labels, wanted.labels()));
  EXPECT_EQ(std::memcmp(items.get(), wanted.columns().items.data(), count * 4), 0);
}

// On a machine without a device, this test reports that the suite was skipped, and why.
TEST(cuda_contract, has_a_device) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  EXPECT_TRUE(status.reason.empty());
}

// Buffers are allocated at first use, so each device that worked has less free memory.
TEST(several_devices, share_a_large_call) {
  const std::vector<int> devices = every_device();
  if (devices.size() < 2) GTEST_SKIP() << "this machine has one device";
  const positives_index index(edge_dataset());
  const auto filler = cuda::make_backend_on(devices, index, {.buffer_bytes = 1U << 20});
  const auto free_bytes = [&](int device) {
    const cuda::device_guard current(device);
    std::size_t free = 0;
    std::size_t total = 0;
    NEGPIPE_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return free;
  };
  std::vector<std::size_t> before;
  for (const int device : devices) before.push_back(free_bytes(device));
  const training_plan plan = plan_training(index.source(), {.negatives = 4, .epochs_per_cycle = 3000});
  point_buffer points(600'000, item_type::uint16, false);
  const core::cycle_key key = make_cycle_key(plan, 0);
  filler->fill_training(plan, key, 300'000, 600'000, points.columns());
  point_buffer wanted(600'000, item_type::uint16, false);
  make_backend("cpu", index, 1)->fill_training(plan, key, 300'000, 600'000, wanted.columns());
  EXPECT_EQ(points.first_difference(wanted), "");
  for (const int device : devices) EXPECT_LT(free_bytes(device), before[static_cast<std::size_t>(device)]) << device;
}

TEST(cuda_contract, weights_that_are_given_twice_are_uploaded_once) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  constexpr std::int32_t items = 10'000'000;  // tables of 147 MB: a card gives memory in pieces of 32 MiB
  const positives_index index(make_dataset({{0, 1}, {2}}, {3, 4}, items));
  const dataset_weights weights(index.source(), item_weights(std::vector<std::uint32_t>(items, 7)));
  const auto bytes_of = [&](const std::vector<dataset_weights>& given) {
    std::size_t before = 0;
    std::size_t after = 0;
    std::size_t total = 0;
    NEGPIPE_CUDA_CHECK(cudaMemGetInfo(&before, &total));
    const auto filler = make_backend("cuda:0", index, 1, given);
    NEGPIPE_CUDA_CHECK(cudaMemGetInfo(&after, &total));
    return before - after;
  };
  bytes_of({});  // loads kernels
  const std::size_t once = bytes_of({weights});
  EXPECT_GT(once, bytes_of({}) + 100'000'000);
  EXPECT_LT(bytes_of({weights, weights}), once + 80'000'000);
}

TEST(cuda_contract, selects_devices_by_number) {
  const backend_status status = cuda_status();
  if (!status.available) GTEST_SKIP() << status.reason;
  int count = 0;
  ASSERT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  const dataset data = edge_dataset();
  const positives_index index(data);
  const std::string last = std::to_string(count - 1);
  EXPECT_NE(make_backend("cuda:" + last, index)->description().find("cuda (" + last + ": "), std::string::npos);
  EXPECT_THROW(make_backend("cuda:" + std::to_string(count), index), option_error);
  EXPECT_THROW(make_backend("cuda:99999999999999999999", index), option_error);
}

}  // namespace
}  // namespace negpipe::test
