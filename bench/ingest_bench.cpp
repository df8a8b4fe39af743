// prepare of ratings of MovieLens-20M's shape, as CSV and gzip-compressed. Checks first that the result is the dataset
// from which the ratings were written. compare_pandas compares it with pandas.
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "negpipe/ingest.hpp"
#include "negpipe/synth.hpp"
#include "support/defaults.hpp"

namespace {

namespace fs = std::filesystem;

/// Ratings on disk, deleted when the program ends.
class ratings_files {
 public:
  ratings_files() : folder_(fs::temp_directory_path() / ("negpipe-bench-" + std::to_string(::getpid()))) {
    fs::create_directory(folder_);
    digest_ = negpipe::synthesize(negpipe::synth_shape(negpipe::bench::ingest_shape), {}, plain()).digest();
    if (std::system(("gzip -1 -k " + plain().string()).c_str()) != 0) std::abort();
  }
  ~ratings_files() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  fs::path plain() const { return folder_ / "ratings.csv"; }
  fs::path packed() const { return folder_ / "ratings.csv.gz"; }
  const std::string& digest() const { return digest_; }

 private:
  fs::path folder_;
  std::string digest_;
};

const ratings_files& files() {
  static const ratings_files made;
  return made;
}

double peak_gigabytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e6;
}

void measure(benchmark::State& state, const fs::path& path) {
  negpipe::run_control control;
  control.threads = static_cast<unsigned>(state.range(0));
  negpipe::prepare_summary summary;
  for (auto _ : state) {
    const auto data = negpipe::prepare(path, {}, control, &summary);
    if (data.digest() != files().digest()) state.SkipWithError("prepare made another dataset");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(summary.rows_read) * state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(fs::file_size(path)) * state.iterations());
  state.counters["process_peak_GB"] = peak_gigabytes();  // includes the making of the ratings
}

void prepare_csv(benchmark::State& state) { measure(state, files().plain()); }
void prepare_gzip(benchmark::State& state) { measure(state, files().packed()); }

BENCHMARK(prepare_csv)->Arg(1)->Arg(2)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(3);
BENCHMARK(prepare_gzip)->Arg(2)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);

void synthesize(benchmark::State& state) {
  const auto shape = negpipe::synth_shape(negpipe::bench::ingest_shape);
  for (auto _ : state) benchmark::DoNotOptimize(negpipe::synthesize(shape));
  state.SetItemsProcessed(static_cast<std::int64_t>(shape.interactions) * state.iterations());
}
BENCHMARK(synthesize)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(3);

}  // namespace

BENCHMARK_MAIN();
