// Makes four batches with each membership form, one of a replay, and four of the pairwise layout with as many negatives
// as the others have points. counts reads the counters of their kernels.
//
//   fill_counts SHAPE BATCH     SHAPE: ml-1m, ml-20m, or 2m-850k (2 M users, 850,000 items, 40 M positives: a fifth
//                               of those in cuda_bench, because ptxrun interprets)
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "device_dataset.hpp"
#include "fill_pairs.hpp"
#include "fill_points.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/synth.hpp"
#include "shapes.hpp"
#include "stream.hpp"

namespace negpipe::bench {
namespace {

constexpr std::uint64_t batches = 4;
constexpr std::uint32_t pair_negatives = 64;

void run(const std::string& shape, std::uint64_t batch) {
  const dataset source =
      shape == "2m-850k" ? sparse_dataset(2'000'000, 850'000, 40'000'000) : synthesize(synth_shape(shape));
  const positives_index index(source);
  const auto memory = cuda::make_pool_memory();
  const cuda::stream stream;
  const training_plan plan = plan_training(source, {1, 4, 1, batch, padding_policy::drop});
  const core::cycle_key key = make_cycle_key(plan, 0);
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
