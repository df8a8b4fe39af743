// Registration of benchmarks, and the main function of programs that register them at run time.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <thread>

namespace negpipe::bench {

/// Registers NAME/one_core, and NAME/all_cores on a machine with several. fill(state, threads) is the benchmark.
template <typename Fill>
void register_by_threads(const std::string& name, Fill fill) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  benchmark::RegisterBenchmark((name + "/one_core").c_str(), [=](benchmark::State& state) { fill(state, 1); });
  if (cores == 1) return;
  benchmark::RegisterBenchmark((name + "/all_cores").c_str(), [=](benchmark::State& state) { fill(state, cores); })
      ->UseRealTime();
}

/// Runs the registered benchmarks that the arguments select. Returns the exit status.
inline int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace negpipe::bench
