// Evaluation rows with masks, in values per second (E + 1 values per user).
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "negpipe/core/duplicate_mask.hpp"
#include "negpipe/core/evaluation.hpp"
#include "negpipe/sampler.hpp"
#include "support/defaults.hpp"
#include "support/fixtures.hpp"
#include "support/registration.hpp"

namespace negpipe::bench {
namespace {

struct rows_in_memory {
  std::vector<std::int32_t> users = std::vector<std::int32_t>(evaluation_batch_size);
  std::vector<std::uint16_t> items = std::vector<std::uint16_t>(evaluation_batch_size);
  std::vector<std::int8_t> mask = std::vector<std::int8_t>(evaluation_batch_size);

  evaluation_columns view() { return {users, items, mask}; }
};

bool equals_core(const evaluation_plan& plan, const positives_index& index, std::uint64_t first_row,
                 const rows_in_memory& made) {
  const auto length = static_cast<std::uint32_t>(plan.row_length());
  for (std::uint64_t row = 0; row < checked_rows; ++row) {
    const user_id user{static_cast<std::int32_t>(first_row + row)};
    for (std::uint32_t column = 0; column < length; ++column) {
      const std::size_t place = row * length + column;
      const item_id wanted = core::eval_item_at(plan, index.view(), user, column, core::philox_source{plan.seed});
      if (made.users[place] != negpipe::index(user) || made.items[place] != negpipe::index(wanted) ||
          made.mask[place] != core::is_repeat(made.items.data() + row * length, column)) {
        return false;
      }
    }
  }
  return true;
}

void fill(benchmark::State& state, std::string_view shape, bool with_replacement, unsigned threads) {
  const positives_index& index = index_of(shape, core::membership::bitset);
  const sampler source(
      index, make_cpu_backend(index, threads),
      {.seed = seed,
       .evaluation = evaluation_options{evaluation_negatives, evaluation_batch_size, with_replacement}});
  const evaluation_plan& plan = source.evaluation_plan();
  rows_in_memory out;
  const std::uint64_t rows = evaluation_batch_size / plan.row_length();
  const std::uint64_t batches = plan.user_count / rows;  // full batches only
  source.fill_evaluation(1, out.view());
  if (!equals_core(plan, index, rows, out)) {
    state.SkipWithError("the rows differ from the core's");
    return;
  }
  std::uint64_t call = 0;
  for (auto _ : state) {
    source.fill_evaluation(call++ % batches, out.view());
    benchmark::ClobberMemory();
  }
  state.SetLabel(source.device());
  const double values = static_cast<double>(state.iterations()) * static_cast<double>(evaluation_batch_size);
  state.counters["points/s"] = benchmark::Counter(values, benchmark::Counter::kIsRate);
}

void register_all() {
  for (const std::string_view shape : shapes) {
    for (const bool with_replacement : {false, true}) {
      const std::string name =
          std::string("evaluation/") + std::string(shape) + (with_replacement ? "/mlperf" : "/distinct");
      register_by_threads(name, [=](benchmark::State& state, unsigned threads) {
        fill(state, shape, with_replacement, threads);
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
