// A small run of all that the backend does, for inject_failures; the exit status reports the outcome.
#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "cuda_backend.hpp"
#include "device_columns.hpp"
#include "equality/reference_columns.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/device.hpp"
#include "negpipe/device_negatives.hpp"
#include "negpipe/error.hpp"
#include "negpipe/plan.hpp"
#include "rows_from_interactions.hpp"
#include "stream.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

enum outcome : int { equal = 0, different = 1, unknown_error = 2, typed_error = 3, out_of_memory = 4, lost = 5 };

bool points_are_equal(const backend& filler, const positives_index& index, const core::weighted_draw& weights) {
  for (const std::uint64_t batch : {64ULL, 70'000ULL}) {  // the general code, and the kernel of four neighbours
    training_plan plan = plan_training(index.source(), {5, 4, batch == 64 ? 1U : 100U, batch, padding_policy::mask});
    plan.weights = weights;
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

// Two fills in a queue, in several pieces each.
bool queued_points_are_equal(const backend& filler, const positives_index& index) {
  constexpr std::uint64_t count = 600;
  const training_plan plan = plan_training(index.source(), {5, 4, 1, count, padding_policy::drop});
  const core::cycle_key key = make_cycle_key(plan, 1);
  struct {
    std::shared_ptr<std::byte[]> memory;
    std::array<std::span<std::byte>, 3> columns;
  } found[2];
  for (auto& batch : found) {
    batch.memory = filler.allocate_host(7 * count);
    const std::span<std::byte> all(batch.memory.get(), 7 * count);
    batch.columns = {all.first(4 * count), all.subspan(4 * count, 2 * count), all.last(count)};
  }
  const auto queue = filler.make_queue();
  for (const std::uint64_t b : {0U, 1U}) queue->push_training(plan, key, b * count, count, found[b].columns);
  for (const std::uint64_t b : {0U, 1U}) {
    queue->pop();
    training_batch wanted(count, item_type::uint16, false);
    write_reference_points(plan, key, index.view(), b * count, count, wanted.columns());
    if (!std::ranges::equal(found[b].columns[0], std::as_bytes(wanted.users())) ||
        !std::ranges::equal(found[b].columns[2], std::as_bytes(wanted.labels()))) {
      return false;
    }
  }
  return true;
}

// Distinct rows by weight.
bool weighted_rows_are_equal(const backend& filler, const positives_index& index, const dataset_weights& weights) {
  evaluation_options options{30, 310};
  options.weights = weights.items();
  evaluation_plan plan = plan_evaluation(index.source(), options, 4);
  plan.weights = *weights.draw();
  row_buffer wanted(plan.padded_count(), item_type::uint16);
  row_buffer found(plan.padded_count(), item_type::uint16);
  write_reference_rows(plan, index.view(), 0, 10, wanted.columns());
  filler.fill_evaluation(plan, 0, 10, found.columns());
  return found.first_difference(wanted).empty();
}

bool rows_are_equal(const backend& filler, const positives_index& index) {
  for (const std::uint32_t negatives : {30U, 5000U}) {  // rows that a block sorts, and longer rows
    const evaluation_plan plan = plan_evaluation(index.source(), {negatives, 10 * (negatives + 1ULL), true}, 4);
    row_buffer wanted(plan.padded_count(), item_type::uint16);
    row_buffer found(plan.padded_count(), item_type::uint16);
    write_reference_rows(plan, index.view(), 0, 10, wanted.columns());
    filler.fill_evaluation(plan, 0, 10, found.columns());
    if (!found.first_difference(wanted).empty()) return false;
  }
  return true;
}

// Rows made on the device by Thrust, from the pairs in reverse order.
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
  const auto heldout =
      cuda::upload_async(data.heldout_items().data(), data.heldout_items().size(), *memory, stream.get());
  const auto rows = cuda::rows_from_interactions({.user_count = data.user_count(),
                                                  .item_count = data.item_count(),
                                                  .users = {device_users.data(), device_users.size()},
                                                  .items = {device_items.data(), device_items.size()},
                                                  .heldout = {heldout.data(), heldout.size()}},
                                                 *memory, stream.get());
  std::vector<std::int32_t> found(rows.positive_items.size());
  NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(found.data(), rows.positive_items.data(), rows.positive_items.size_bytes(),
                                     cudaMemcpyDeviceToHost, stream.get()));
  stream.synchronize();
  return std::ranges::equal(found, data.positive_items());
}

// device_sampler: a batch, the next two batches of a replay, and evaluation, by weight, in device memory.
bool device_batches_are_equal(const dataset& data, const positives_index& index) {
  const auto memory = cuda::make_pool_memory();
  const cuda::stream stream;
  const item_weights weights = popularity_weights(data, 0.5);
  const evaluation_options evaluation{.negatives = 5000, .batch_size = 5001, .mlperf = true, .weights = weights};
  const device_sampler sampler(data,
                               {.seed = 5,
                                .batch_size = 1000,
                                .padding = padding_policy::mask,
                                .evaluation = evaluation,
                                .weights = weights},
                               {.stream = stream.get()});
  const device_replay replay = sampler.make_replay({.cycle = 1, .batch = sampler.batch_count() - 1}, 2);
  device_points one(1000, item_type::uint16, true, *memory, stream.get());
  device_points two(2000, item_type::uint16, true, *memory, stream.get());
  device_rows rows(5001, item_type::uint16, *memory, stream.get());
  cuda::device_buffer<std::byte> workspace(sampler.evaluation_workspace_bytes(), *memory, stream.get());
  sampler.fill(1, 0, one.columns(), stream.get());
  replay.fill_next(two.columns(), stream.get());
  sampler.fill_evaluation(3, rows.columns(), {workspace.data(), workspace.size()}, stream.get());
  return one.difference(sampler.plan(), 1, 0, index.view(), stream.get()).empty() &&
         two.difference(sampler.plan(), 1, sampler.batch_count() - 1, index.view(), stream.get()).empty() &&
         rows.difference(*sampler.evaluation_plan(), 3, index.view(), stream.get()).empty();
}

// device_negative_sampler: weighted rows without repeats, and their membership.
bool negatives_are_equal(const dataset& data) {
  const auto memory = cuda::make_pool_memory();
  const cuda::stream stream;
  const negative_options options{.seed = 3, .weights = popularity_weights(data, 0.5)};
  const device_negative_sampler sampler(data, options, {.stream = stream.get()});
  const std::vector<std::int32_t> users{0, 1, -1, 2};
  const auto given = cuda::upload_async(users.data(), users.size(), *memory, stream.get());
  device_column out(20, 4, *memory, stream.get());
  device_column mask(20, 1, *memory, stream.get());
  const std::span<std::int32_t> items(reinterpret_cast<std::int32_t*>(out.data()), 20);
  sampler.sample({given.data(), 4}, {.negatives = 5, .distinct = true}, items, stream.get());
  sampler.contains({given.data(), 4}, {items.data(), 20}, {reinterpret_cast<std::uint8_t*>(mask.data()), 20},
                   stream.get());
  sampler.check(stream.get());
  std::vector<std::int32_t> wanted(20);
  negative_sampler(data, options).sample(users, {.negatives = 5, .distinct = true}, wanted);
  const std::vector<std::uint8_t> no_hits(20);
  return out.difference("negatives", wanted.data(), stream.get()).empty() &&
         mask.difference("hits", no_hits.data(), stream.get()).empty();
}

outcome run() {
  const dataset data = edge_dataset(400);
  const positives_index index(data);
  const dataset_weights weights(data, popularity_weights(data, 0.5));
  const auto filler = make_cuda_backend("cuda", index, {weights});
  static_cast<void>(filler->description());
  const bool all_equal =
      points_are_equal(*filler, index, {}) && points_are_equal(*filler, index, *weights.draw()) &&
      weighted_rows_are_equal(*filler, index, weights) && queued_points_are_equal(*filler, index) &&
      rows_are_equal(*filler, index) &&
      columns_build_the_same(data) && device_batches_are_equal(data, index) && negatives_are_equal(data);
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
