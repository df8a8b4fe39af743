// Pairwise rows beside pointwise points, as draws of negatives per second, into reused memory.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "negpipe/core/pairwise.hpp"
#include "negpipe/sampler.hpp"
#include "support/defaults.hpp"
#include "support/fixtures.hpp"

namespace negpipe::bench {
namespace {

/// A sampler of one layout and the memory of one call: points_per_call points, or rows of about as many negatives.
class filler {
 public:
  filler(const positives_index& index, batch_layout layout, std::uint32_t negatives_per_positive)
      : source_(index, make_cpu_backend(index, 1),
                {.seed = seed, .negatives = negatives_per_positive, .batch_size = batch_size, .layout = layout}),
        count_(layout == batch_layout::pairwise
                   ? std::min(points_per_call / negatives_per_positive, source_.plan().point_count)
                   : points_per_call),
        users_(count_),
        items_(count_),
        labels_(layout == batch_layout::pairwise ? 0 : count_),
        negatives_(layout == batch_layout::pairwise ? count_ * negatives_per_positive : 0) {}

  void operator()(std::uint64_t call) {
    const std::uint64_t first = first_of(call);
    if (plan().layout == batch_layout::pairwise) {
      source_.fill_rows(0, first, count_, {users_, items_, negatives_, {}});
    } else {
      source_.fill_points(0, first, count_, {users_, items_, labels_, {}});
    }
  }

  /// Compares the first rows of call 1 with the core.
  bool equals_core(const positives_index& index) {
    (*this)(1);
    if (plan().layout == batch_layout::pointwise) return true;  // points_bench compares them
    const core::cycle_key key = make_cycle_key(plan(), 0);
    const core::philox_source source{seed};
    for (std::uint64_t i = 0; i < std::min(count_, checked_points / (plan().negatives + 1)); ++i) {
      const core::pair_row row = core::pair_at(plan(), key, index.view(), first_of(1) + i, source);
      if (users_[i] != negpipe::index(row.user) || items_[i] != negpipe::index(row.item)) return false;
      for (std::uint32_t k = 0; k < plan().negatives; ++k) {
        const auto wanted = core::pair_negative(plan(), key, index.view(), row, k, source);
        if (negatives_[i * plan().negatives + k] != negpipe::index(wanted)) return false;
      }
    }
    return true;
  }

  /// Negatives of one call; of points, the share K / (1 + K).
  double draws() const {
    if (plan().layout == batch_layout::pairwise) return static_cast<double>(negatives_.size());
    return static_cast<double>(count_) * plan().negatives / (plan().negatives + 1.0);
  }
  const training_plan& plan() const { return source_.plan(); }
  std::string device() const { return source_.device(); }

 private:
  std::uint64_t first_of(std::uint64_t call) const { return call % (plan().point_count / count_) * count_; }

  sampler source_;
  std::uint64_t count_;
  std::vector<std::int32_t> users_;
  std::vector<std::uint16_t> items_;
  std::vector<std::int8_t> labels_;
  std::vector<std::uint16_t> negatives_;
};

void measure(benchmark::State& state, std::string_view shape, core::membership form, batch_layout layout,
             std::uint32_t negatives_per_positive) {
  const positives_index& index = index_of(shape, form);
  filler fill(index, layout, negatives_per_positive);
  if (!fill.equals_core(index)) {
    state.SkipWithError("the rows differ from the core's");
    return;
  }
  std::uint64_t call = 0;
  for (auto _ : state) {
    fill(call++);
    benchmark::ClobberMemory();
  }
  state.SetLabel(fill.device());
  state.counters["draws/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * fill.draws(), benchmark::Counter::kIsRate);
}

void register_all() {
  for (const std::string_view shape : shapes) {
    for (const auto& [form, form_name] : {std::pair{core::membership::bitset, "/bitset"},
                                          {core::membership::bloom_filter, "/filter"},
                                          {core::membership::sorted_search, "/search"}}) {
      const std::string name = std::string(shape) + form_name;
      const auto add = [&, form = form](const std::string& layout_name, batch_layout layout, std::uint32_t k) {
        benchmark::RegisterBenchmark(
            (layout_name + "/" + name + "/K:" + std::to_string(k)).c_str(),
            [=](benchmark::State& state) { measure(state, shape, form, layout, k); });
      };
      add("pointwise", batch_layout::pointwise, negatives);
      for (const std::uint32_t k : {1U, negatives, 64U}) add("pairwise", batch_layout::pairwise, k);
    }
  }
}

}  // namespace
}  // namespace negpipe::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  negpipe::bench::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
