// One small run of everything that the backend does, for inject_failures: the exit status says how it ended.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

#include "cuda_backend.hpp"
#include "equality/reference_columns.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/error.hpp"
#include "negpipe/plan.hpp"
#include "rows_from_columns.hpp"
#include "stream.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

enum outcome : int { equal = 0, different = 1, unknown_error = 2, typed_error = 3, out_of_memory = 4, lost = 5 };

bool points_are_equal(const backend& filler, const positives_index& index) {
  for (const std::uint64_t batch : {64ULL, 70'000ULL}) {  // the general way, and the kernel of four neighbours
    const training_plan plan =
        plan_training(index.source(), {5, 4, batch == 64 ? 1U : 100U, batch, padding_policy::mask});
    const core::cycle_key key = make_cycle_key(plan, 1);
    point_buffer wanted(3000, item_type::uint16, true);
    point_buffer found(3000, item_type::uint16, true);
    const std::uint64_t first = plan.padded_count() > 3000 ? plan.padded_count() - 3000 : 0;
    const std::uint64_t count = std::min<std::uint64_t>(3000, plan.padded_count());
    write_reference_points(plan, key, index.view(), first, count, wanted.columns());
    filler.fill_training(plan, key, first, count, found.columns());
    if (!found.first_difference(wanted).empty()) return false;
  }
  return true;
}

bool rows_are_equal(const backend& filler, const positives_index& index) {
  for (const std::uint32_t negatives : {30U, 5000U}) {  // rows that a block sorts, and longer ones
    const evaluation_plan plan = plan_evaluation(index.source(), {negatives, 10 * (negatives + 1ULL), true}, 4);
    row_buffer wanted(plan.padded_count(), item_type::uint16);
    row_buffer found(plan.padded_count(), item_type::uint16);
    write_reference_rows(plan, index.view(), 0, 10, wanted.columns());
    filler.fill_evaluation(plan, 0, 10, found.columns());
    if (!found.first_difference(wanted).empty()) return false;
  }
  return true;
}

// Rows made on the device, by Thrust, from the pairs in reverse order.
bool columns_build_the_same(const dataset& data) {
  std::vector<std::int32_t> users;
  for (std::int32_t u = data.user_count(); u-- > 0;) {
    const auto row = static_cast<std::size_t>(u);
    users.insert(users.end(), static_cast<std::size_t>(data.user_offsets()[row + 1] - data.user_offsets()[row]), u);
  }
  const std::vector<std::int32_t> items(data.positive_items().rbegin(), data.positive_items().rend());
  const auto memory = cuda::make_pool_memory();
  const cuda::stream stream;
  const auto device_users = cuda::upload_async(users.data(), users.size(), *memory, stream.get());
  const auto device_items = cuda::upload_async(items.data(), items.size(), *memory, stream.get());
  auto heldout = cuda::upload_async(data.heldout_items().data(), data.heldout_items().size(), *memory, stream.get());
  const auto rows = cuda::rows_from_columns(device_users.data(), device_items.data(), users.size(), data.user_count(),
                                            std::move(heldout), *memory, stream.get());
  std::vector<std::int32_t> found(rows.positive_items.size());
  NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(found.data(), rows.positive_items.data(), rows.positive_items.size_bytes(),
                                     cudaMemcpyDeviceToHost, stream.get()));
  stream.synchronize();
  return std::ranges::equal(found, data.positive_items());
}

outcome run() {
  const dataset data = edge_dataset(400);
  const positives_index index(data);
  const auto filler = make_cuda_backend("cuda", index);
  static_cast<void>(filler->description());
  const bool all_equal =
      points_are_equal(*filler, index) && rows_are_equal(*filler, index) && columns_build_the_same(data);
  return all_equal ? equal : different;
}

outcome guarded_run() {
  try {
    return run();
  } catch (const device_memory_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return out_of_memory;
  } catch (const device_lost_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return lost;
  } catch (const backend_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return typed_error;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "not a backend_error: %s\n", error.what());
    return unknown_error;
  }
}

}  // namespace
}  // namespace negpipe::test

int main() { return negpipe::test::guarded_run(); }
