// Makes four batches with each membership form, one of a replay, and four of the pairwise layout with as many negatives
// as the others have points; then as many free draws, uniform and by popularity, and looks them up. counts reads the
// counters of their kernels.
//
//   fill_counts SHAPE BATCH     SHAPE: ml-1m, ml-20m, or 2m-850k (2 M users, 850,000 items, 40 M positives: a fifth
//                               of those in cuda_bench, because ptxrun interprets)
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

// Draws, and looks up what was drawn, as a mask of pairs.
void draw_free(const positives_index& index, const core::weighted_draw& weights, const cuda::device_view& data,
               std::uint64_t batch, cuda::device_memory& memory, cudaStream_t stream) {
  cuda::problem_board problems;
  const std::vector<std::int32_t> users = users_of_interactions(index, batch / free_negatives);
  const auto on_device = cuda::upload_async(users.data(), users.size(), memory, stream);
  cuda::device_buffer<std::int32_t> items(batch, memory, stream);
  cuda::device_buffer<std::uint8_t> found(batch, memory, stream);
  const cuda::free_source source{1, data, weights, problems.writer()};
  for (std::uint32_t at = 0; at < batches; ++at) {
    cuda::free_call call;
    call.negatives = free_negatives;
    call.at = at;
    cuda::draw_free_async(source, call, {on_device.data(), false}, users.size(), items.data(), {stream});
    if (weights.is_set()) continue;
    cuda::find_positives_async(source, {on_device.data(), false}, {items.data(), false}, false, users.size(),
                               free_negatives, found.data(), {stream});
  }
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
}

void run(const std::string& shape, std::uint64_t batch) {
  const dataset source =
      shape == "2m-850k" ? sparse_dataset(2'000'000, 850'000, 40'000'000) : synthesize(synth_shape(shape));
  const positives_index index(source);
  const auto memory = cuda::make_pool_memory();
  const cuda::stream stream;
  const training_plan plan = plan_training(source, {1, 4, 1, batch, padding_policy::drop});
  const core::cycle_key key = make_cycle_key(plan, 0);
  const dataset_weights popularity(source, popularity_weights(source, 0.75));
  const cuda::device_weights weights(popularity, source.positive_count(), *memory, stream.get());
  for (const auto form :
       {cuda::membership_form::bloom_filter, cuda::membership_form::bitset, cuda::membership_form::sorted_search}) {
    if (form == cuda::membership_form::bitset && index.form() != core::membership::bitset) continue;
    const auto data =
        cuda::device_dataset::upload_async(source, default_bitset_budget_bytes, form, *memory, stream.get());
    const item_type width = item_type_for(source.item_count());
    cuda::device_buffer<std::int32_t> users(batch, *memory, stream.get());
    cuda::device_buffer<std::byte> items(batch * item_bytes(width), *memory, stream.get());
    cuda::device_buffer<std::int8_t> labels(batch, *memory, stream.get());
    const core::training_pointers out{users.data(), items.data(), width, labels.data(), nullptr};
    for (std::uint64_t b = 0; b < batches; ++b) {
      cuda::fill_training_async(plan, key, data.view(), plan.batch_count / 2 * batch + b * batch, batch, out,
                                {stream.get()});
    }
    const batch_cursor begin{0, 1};
    const cuda::cursor_state initial = cuda::initial_state(plan);
    auto cursor = cuda::upload_async(&begin, 1, *memory, stream.get());
    auto state = cuda::upload_async(&initial, 1, *memory, stream.get());
    cuda::fill_next_async(plan, cursor.data(), state.data(), 1, data.view(), out, {stream.get()});
    const std::uint64_t row_count = batch / pair_negatives;
    training_options pairwise{1, pair_negatives, 1, row_count, padding_policy::drop};
    pairwise.layout = batch_layout::pairwise;
    const training_plan pairs = plan_training(source, pairwise);
    cuda::device_buffer<std::byte> positives(row_count * item_bytes(width), *memory, stream.get());
    for (std::uint64_t b = 0; b < batches; ++b) {
      cuda::fill_pairs_async(pairs, make_cycle_key(pairs, 0), data.view(),
                             (pairs.batch_count / 2 + b) * row_count, row_count,
                             {users.data(), positives.data(), items.data(), width, nullptr}, {stream.get()});
    }
    draw_free(index, {}, data.view(), batch, *memory, stream.get());
    draw_free(index, weights.draw(), data.view(), batch, *memory, stream.get());
    stream.synchronize();
    const std::uint64_t rows = form == cuda::membership_form::sorted_search ? 4 * data.view().positive_count : 0;
    std::printf("%s\t%llu\t%llu\t%llu\n", cuda::name_of(form), static_cast<unsigned long long>(batches * batch),
                static_cast<unsigned long long>(data.packed_bytes()),
                static_cast<unsigned long long>(data.membership_bytes() + rows));
  }
}

}  // namespace
}  // namespace negpipe::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: fill_counts ml-1m|ml-20m|2m-850k BATCH\n");
    return 2;
  }
  try {
    negpipe::bench::run(argv[1], std::strtoull(argv[2], nullptr, 10));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "fill_counts: %s\n", failure.what());
    return 1;
  }
}
