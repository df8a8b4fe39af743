// Records: encoding with checksums in memory, and whole files in /dev/shm and in NEGPIPE_BENCH_FOLDER (default: the
// temporary folder).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "example_encoder.hpp"
#include "negpipe/tfrecord.hpp"
#include "record_set.hpp"
#include "support/defaults.hpp"
#include "support/registration.hpp"

namespace negpipe::bench {
namespace {

namespace fs = std::filesystem;

/// Columns of one batch; neighbouring values differ.
struct sample_batch {
  std::vector<record::column_spec> specs = record::training_record_columns(batch_size, item_type::uint16, false);
  record::record_template shape{specs};
  std::vector<std::vector<std::byte>> columns;
  std::vector<std::span<const std::byte>> views;
  std::vector<std::byte> record = std::vector<std::byte>(shape.record_bytes());

  sample_batch() {
    std::uint32_t state = 1;
    for (const auto& spec : specs) {
      auto& column = columns.emplace_back(spec.byte_count);
      for (auto& byte : column) byte = static_cast<std::byte>((state = state * 1664525U + 1013904223U) >> 24);
    }
    views.assign(columns.begin(), columns.end());
    shape.encode(views, record);
  }

  /// Writes a file of this one record and returns whether reading it gives the same columns.
  bool is_read_back(const fs::path& folder, compression_type compression) const {
    record::record_set set(folder, "check", {1, 1}, shape.record_bytes(), compression);
    set.write(0, record);
    record_reader reader(folder / set.finish()[0].name);
    std::span<const std::byte> payload;
    if (!reader.next(payload)) return false;
    for (const auto& [name, bytes] : parse_example(payload)) {
      const auto spec = std::ranges::find(specs, name, &record::column_spec::name);
      if (!std::ranges::equal(bytes, columns[static_cast<std::size_t>(spec - specs.begin())])) return false;
    }
    return true;
  }
};

fs::path fresh_folder(const fs::path& parent) {
  const fs::path folder = parent / "negpipe-record-bench";
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

/// The ceiling of encoding: one copy of the same bytes.
void copy(benchmark::State& state) {
  sample_batch batch;
  std::vector<std::byte> to(batch.record.size());
  for (auto _ : state) {
    std::memcpy(to.data(), batch.record.data(), to.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(to.size()));
}
BENCHMARK(copy);

void encode(benchmark::State& state) {
  sample_batch batch;
  const fs::path folder = fresh_folder("/dev/shm");
  if (!batch.is_read_back(folder, compression_type::none))
    state.SkipWithError("the record decodes to other columns");
  fs::remove_all(folder);
  for (auto _ : state) {
    batch.shape.encode(batch.views, batch.record);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(batch.record.size()));
}
BENCHMARK(encode);

void write_files(benchmark::State& state, const fs::path& parent, compression_type compression) {
  sample_batch batch;
  if (!batch.is_read_back(fresh_folder(parent), compression)) {
    state.SkipWithError("the file decodes to other columns");
    return;
  }
  const std::uint64_t batches = compression == compression_type::none ? file_batches : gzip_file_batches;
  for (auto _ : state) {
    state.PauseTiming();
    const fs::path folder = fresh_folder(parent);
    state.ResumeTiming();
    record::record_set set(folder, "train", {batches, readers}, batch.record.size(), compression);
    for (std::uint64_t b = 0; b < batches; ++b) {
      batch.shape.encode(batch.views, batch.record);
      set.write(b, batch.record);
    }
    benchmark::DoNotOptimize(set.finish());
  }
  fs::remove_all(parent / "negpipe-record-bench");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(batches * batch.record.size()));
}

}  // namespace
}  // namespace negpipe::bench

int main(int argc, char** argv) {
  using namespace negpipe;
  const char* chosen = std::getenv("NEGPIPE_BENCH_FOLDER");
  const std::pair<std::string, std::filesystem::path> folders[] = {
      {"shm", "/dev/shm"}, {"disk", chosen != nullptr ? chosen : std::filesystem::temp_directory_path()}};
  for (const auto& [name, folder] : folders) {
    for (const auto compression : {compression_type::none, compression_type::gzip}) {
      const std::string full = "write_files/" + name + (compression == compression_type::none ? "/plain" : "/gzip");
      benchmark::RegisterBenchmark(full.c_str(), bench::write_files, folder, compression)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  return bench::run(argc, argv);
}
