// Work whose kernels counts reads the counters of. With each membership form, uniformly and by popularity: four batches
// of points, four of the pairwise layout with as many negatives as the others have points, and as many free draws; one
// batch of a replay, and look-ups of free draws. With "distinct", and the form that is chosen: free draws without
// repeats and excluded items.
//
//   fill_counts SHAPE BATCH [distinct]     SHAPE: ml-1m, ml-20m, or 2m-850k (2 M users, 850,000 items, 40 M positives:
//                                          a fifth of those in cuda_bench, because ptxrun interprets)
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "device_dataset.hpp"
#include "device_weights.hpp"
#include "fill_pairs.hpp"
#include "fill_points.hpp"
#include "free_draws.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/synth.hpp"
#include "problems.hpp"
#include "shapes.hpp"
#include "stream.hpp"

namespace negpipe::bench {
namespace {

constexpr std::uint64_t batches = 4;
constexpr std::uint32_t pair_negatives = 64;
constexpr std::uint32_t free_negatives = 4;
constexpr std::uint32_t distinct_negatives = 16;
constexpr std::uint32_t excluded_items = 4;

// The users of interactions that are spread over the dataset, so that a user is as frequent as in training.
std::vector<std::int32_t> users_of_interactions(const positives_index& index, std::uint64_t count) {
  std::vector<std::int32_t> users;
  const std::uint64_t step = index.source().positive_count() / count;
  const core::csr_view rows = index.view().csr;
  for (std::uint64_t i = 0; i < count; ++i) {
    users.push_back(negpipe::index(rows.user_of(i * 7919 % count * step)));  // in an order without neighbours
  }
  return users;
}

// What all work is made from, and columns for it in device memory.
struct bench_data {
  const positives_index& index;
  std::uint64_t batch;
  cuda::device_memory& memory;
  cudaStream_t stream;
  item_type width = item_type_for(index.source().item_count());
  cuda::device_buffer<std::int32_t> users{batch, memory, stream};
  cuda::device_buffer<std::int32_t> items{batch, memory, stream};
  cuda::device_buffer<std::int8_t> labels{batch, memory, stream};

  cuda::device_dataset upload(cuda::membership_form form) const {
    return cuda::device_dataset::upload_async(index.source(), default_bitset_budget_bytes, form, memory, stream);
  }
};

void fill_points(bench_data& of, const core::weighted_draw& weights, const cuda::device_view& data) {
  training_plan plan = plan_training(of.index.source(), {1, 4, 1, of.batch, padding_policy::drop});
  const core::cycle_key key = make_cycle_key(plan, 0);
  plan.weights = weights;
  const core::training_pointers out{of.users.data(), of.items.data(), of.width, of.labels.data(), nullptr};
  for (std::uint64_t b = 0; b < batches; ++b) {
    cuda::fill_training_async(plan, key, data, plan.batch_count / 2 * of.batch + b * of.batch, of.batch, out,
                              {of.stream});
  }
  if (weights.is_set()) return;
  const batch_cursor begin{0, 1};
  const cuda::cursor_state initial = cuda::initial_state(plan);
  auto cursor = cuda::upload_async(&begin, 1, of.memory, of.stream);
  auto state = cuda::upload_async(&initial, 1, of.memory, of.stream);
  cuda::fill_next_async(plan, cursor.data(), state.data(), 1, data, out, {of.stream});
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(of.stream));
}

void fill_pairs(bench_data& of, const core::weighted_draw& weights, const cuda::device_view& data) {
  const std::uint64_t row_count = of.batch / pair_negatives;
  training_options options{1, pair_negatives, 1, row_count, padding_policy::drop};
  options.layout = batch_layout::pairwise;
  training_plan plan = plan_training(of.index.source(), options);
  plan.weights = weights;
  cuda::device_buffer<std::int32_t> positives(row_count, of.memory, of.stream);
  for (std::uint64_t b = 0; b < batches; ++b) {
    cuda::fill_pairs_async(plan, make_cycle_key(plan, 0), data, (plan.batch_count / 2 + b) * row_count, row_count,
                           {of.users.data(), positives.data(), of.items.data(), of.width, nullptr}, {of.stream});
  }
}

// Draws `negatives` for each user. Without excluded items, looks up what was drawn uniformly, as a mask of pairs.
void draw_free(bench_data& of, const core::weighted_draw& weights, const cuda::device_view& data,
               std::uint32_t negatives, std::uint32_t excluded_count) {
  cuda::problem_board problems;
  const std::vector<std::int32_t> users = users_of_interactions(of.index, of.batch / negatives);
  std::vector<std::int32_t> excluded;
  for (std::size_t i = 0; i < users.size() * excluded_count; ++i) {
    excluded.push_back(static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(data.item_count)));
  }
  const auto on_device = cuda::upload_async(users.data(), users.size(), of.memory, of.stream);
  const auto taken = cuda::upload_async(excluded.data(), excluded.size(), of.memory, of.stream);
  cuda::device_buffer<std::uint8_t> found(of.batch, of.memory, of.stream);
  const cuda::free_source source{1, data, weights, problems.writer()};
  for (std::uint32_t at = 0; at < batches; ++at) {
    cuda::free_call call;
    call.negatives = negatives;
    call.at = at;
    call.distinct = excluded_count != 0;
    call.excluded = taken.data();
    call.excluded_count = excluded_count;
    cuda::draw_free_async(source, call, {on_device.data(), false}, users.size(), of.items.data(), {of.stream});
    if (weights.is_set() || excluded_count != 0) continue;
    cuda::find_positives_async(
        source, {{on_device.data(), false}, {of.items.data(), false}, false, users.size(), negatives}, found.data(),
        {of.stream});
  }
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(of.stream));
}

void run_forms(bench_data& of, const core::weighted_draw& popularity) {
  for (const auto form :
       {cuda::membership_form::bloom_filter, cuda::membership_form::bitset, cuda::membership_form::sorted_search}) {
    if (form == cuda::membership_form::bitset && of.index.form() != core::membership::bitset) continue;
    const auto data = of.upload(form);
    for (const core::weighted_draw& weights : {core::weighted_draw{}, popularity}) {
      fill_points(of, weights, data.view());
      fill_pairs(of, weights, data.view());
      draw_free(of, weights, data.view(), free_negatives, 0);
    }
    const std::uint64_t rows = form == cuda::membership_form::sorted_search ? 4 * data.view().positive_count : 0;
    std::printf("%s\t%llu\t%llu\t%llu\n", cuda::name_of(form), static_cast<unsigned long long>(batches * of.batch),
                static_cast<unsigned long long>(data.packed_bytes()),
                static_cast<unsigned long long>(data.membership_bytes() + rows));
  }
}

void run(const std::string& shape, std::uint64_t batch, bool is_distinct) {
  const dataset source =
      shape == "2m-850k" ? sparse_dataset(2'000'000, 850'000, 40'000'000) : synthesize(synth_shape(shape));
  const positives_index index(source);
  const auto memory = cuda::make_pool_memory();
  const cuda::stream stream;
  bench_data of{index, batch, *memory, stream.get()};
  const dataset_weights popularity(source, popularity_weights(source, 0.75));
  const cuda::device_weights weights(popularity, source.positive_count(), *memory, stream.get());
  if (!is_distinct) return run_forms(of, weights.draw());
  const auto data = of.upload(cuda::membership_form::automatic);
  draw_free(of, {}, data.view(), distinct_negatives, excluded_items);
  draw_free(of, weights.draw(), data.view(), distinct_negatives, excluded_items);
}

}  // namespace
}  // namespace negpipe::bench

int main(int argc, char** argv) {
  const bool is_distinct = argc == 4 && std::string(argv[3]) == "distinct";
  if (argc != 3 && !is_distinct) {
    std::fprintf(stderr, "usage: fill_counts ml-1m|ml-20m|2m-850k BATCH [distinct]\n");
    return 2;
  }
  try {
    negpipe::bench::run(argv[1], std::strtoull(argv[2], nullptr, 10), is_distinct);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "fill_counts: %s\n", failure.what());
    return 1;
  }
}
