// Training points per second into reused memory, beside the random-read ceiling.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "negpipe/core/training.hpp"
#include "negpipe/sampler.hpp"
#include "support/defaults.hpp"
#include "support/fixtures.hpp"
#include "support/registration.hpp"

namespace negpipe::bench {
namespace {

struct columns_in_memory {
  std::vector<std::int32_t> users = std::vector<std::int32_t>(points_per_call);
  std::vector<std::uint16_t> items = std::vector<std::uint16_t>(points_per_call);
  std::vector<std::int8_t> labels = std::vector<std::int8_t>(points_per_call);

  training_columns view() { return {users, items, labels, {}}; }
};

bool equals_core(const training_plan& plan, const core::cycle_key& key, const positives_index& index,
                 std::uint64_t first, const columns_in_memory& made) {
  for (std::uint64_t i = 0; i < checked_points; ++i) {
    const core::point wanted = core::point_at(plan, key, index.view(), first + i, core::philox_source{plan.seed});
    if (made.users[i] != negpipe::index(wanted.user) || made.items[i] != negpipe::index(wanted.item) ||
        made.labels[i] != wanted.label) {
      return false;
    }
  }
  return true;
}

void fill(benchmark::State& state, std::string_view shape, core::membership form, unsigned threads) {
  const positives_index& index = index_of(shape, form);
  const sampler source(index, make_cpu_backend(index, threads),
                       {.seed = seed, .negatives = negatives, .batch_size = batch_size});
  const training_plan& plan = source.plan();
  columns_in_memory out;
  const std::uint64_t starts = plan.point_count / points_per_call;
  source.fill_points(0, plan.point_count / 3, points_per_call, out.view());
  if (!equals_core(plan, make_cycle_key(plan, 0), index, plan.point_count / 3, out)) {
    state.SkipWithError("the points differ from the core's");
    return;
  }
  std::uint64_t call = 0;
  for (auto _ : state) {
    source.fill_points(0, call++ % starts * points_per_call, points_per_call, out.view());
    benchmark::ClobberMemory();
  }
  const auto points = static_cast<double>(state.iterations()) * static_cast<double>(points_per_call);
  state.SetLabel(source.device());
  state.counters["points/s"] = benchmark::Counter(points, benchmark::Counter::kIsRate);
  if (form == core::membership::sorted_search) return;
  // Each point reads one random address: the item of its positive, or a word of the membership index.
  const std::uint64_t footprint = index.memory_bytes() + index.source().positive_items().size_bytes();
  const double ceiling = random_lines_per_second(footprint) * threads;
  state.counters["line_reads/s"] = ceiling;
  state.counters["of_ceiling"] = benchmark::Counter(points / ceiling, benchmark::Counter::kIsRate);
}

void register_all() {
  for (const std::string_view shape : shapes) {
    for (const auto& [form, form_name] : {std::pair{core::membership::bitset, "/bitset"},
                                          {core::membership::bloom_filter, "/filter"},
                                          {core::membership::sorted_search, "/search"}}) {
      const std::string name = "points/" + std::string(shape) + form_name;
      register_by_threads(name, [=, form = form](benchmark::State& state, unsigned threads) {
        fill(state, shape, form, threads);
      });
    }
  }
}

}  // namespace
}  // namespace negpipe::bench

int main(int argc, char** argv) {
  negpipe::bench::register_all();
  return negpipe::bench::run(argc, argv);
}
