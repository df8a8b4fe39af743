// Measures the CUDA backend and the ceilings of this machine's card.
//
//   cuda_bench --out FILE [--small] [--draws]
//
//   FILE: JSON, complete after each shape
//   --small: tiny shapes and few runs, to test the program
//   --draws: only the draws (draws.hpp) of MovieLens' shapes
//
// The first batch of each measurement is compared with core, and the first and last evaluation rows with the CPU
// backend, byte for byte.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "ceilings.hpp"
#include "checked_batch.hpp"
#include "cuda_backend.hpp"
#include "device_dataset.hpp"
#include "draws.hpp"
#include "fill_eval.hpp"
#include "fill_points.hpp"
#include "host_costs.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/error.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/synth.hpp"
#include "overlap.hpp"
#include "records.hpp"
#include "shapes.hpp"
#include "stream.hpp"
#include "timing.hpp"

namespace negpipe::bench {
namespace {

using json = nlohmann::ordered_json;
using cuda::membership_form;

// Counted at K = 4 for bitset and Bloom filter (README.md); an approximation for other K.
constexpr double instructions_a_point = 160;

// Each point reads its positive at random, and K of K + 1 points a membership word.
double random_sectors_a_point(std::uint32_t negatives) { return 1 + negatives / (negatives + 1.0); }

struct context {
  bool small;
  cuda::device_memory& memory;
  cudaStream_t stream;
  int l2_bytes;
  double instructions_per_second;
  double copy_bytes_per_second;

  protocol warm() const { return small ? protocol{1, 3} : protocol{5, 30}; }
  protocol cold() const {
    protocol how = warm();
    how.flush_bytes = small ? 1ULL << 20 : 4 * static_cast<std::uint64_t>(l2_bytes);
    return how;
  }
};

json to_json(const timing& t, double count) {
  return {{"median_seconds", t.median_seconds},
          {"p95_seconds", t.p95_seconds},
          {"per_second", count / t.median_seconds},
          {"late_runs", t.late_runs}};
}

// The card's ceilings for the points of a plan. Sorted search has none: its cost depends on row lengths.
json ceilings_of(const context& on, const cuda::device_dataset& data, std::uint32_t negatives, double bytes_a_point) {
  const bool by_search = data.view().form == membership_form::sorted_search;
  const std::uint64_t rows_bytes = by_search ? sizeof(std::int32_t) * data.view().positive_count : 0;
  const std::uint64_t footprint = data.packed_bytes() + data.membership_bytes() + rows_bytes;
  const double sectors = random_sectors_per_second(on.warm(), on.memory, on.stream, footprint);
  json result{{"footprint_bytes", footprint},
              {"random_sectors_per_second", sectors},
              {"memory_ceiling_points_per_second", nullptr},
              {"instruction_ceiling_points_per_second", nullptr}};
  if (!by_search) {
    const double seconds = random_sectors_a_point(negatives) / sectors + bytes_a_point / on.copy_bytes_per_second;
    result["memory_ceiling_points_per_second"] = 1 / seconds;
    result["instruction_ceiling_points_per_second"] = on.instructions_per_second / instructions_a_point;
  }
  return result;
}

// Times one plan with one membership form. All batches are full.
json time_points(const context& on, const positives_index& index, const cuda::device_dataset& data,
                 const training_plan& plan) {
  const std::uint64_t batch = plan.batch_size;
  const core::cycle_key key = make_cycle_key(plan, 0);
  device_batch out(batch, item_type_for(index.source().item_count()), on.memory, on.stream);
  const auto fill = [&](int run) {
    const std::uint64_t first = static_cast<std::uint64_t>(run) % plan.batch_count * batch;
    cuda::fill_training_async(plan, key, data.view(), first, batch, out.training(), {on.stream});
  };
  fill(0);
  check_batch(on.stream, plan, key, index, out);

  const auto count = static_cast<double>(batch);
  const std::uint64_t bytes_a_point = 4 + item_bytes(out.width) + 1;
  json result{{"form", cuda::name_of(data.view().form)},
              {"negatives", plan.negatives},
              {"epochs", plan.epochs},
              {"batch", batch},
              {"points", plan.point_count},
              {"bytes_a_point", bytes_a_point}};
  result.update(ceilings_of(on, data, plan.negatives, static_cast<double>(bytes_a_point)));
  result["warm"] = to_json(time_on_device(on.warm(), on.memory, on.stream, fill), count);
  result["cold"] = to_json(time_on_device(on.cold(), on.memory, on.stream, fill), count);
  std::fprintf(stderr, "  %s K %u B %llu: %.3g points/s warm, %.3g cold\n", cuda::name_of(data.view().form),
               plan.negatives, static_cast<unsigned long long>(batch), result["warm"]["per_second"].get<double>(),
               result["cold"]["per_second"].get<double>());
  return result;
}

// Times every K and batch size for which a cycle has a full batch.
void add_points(const context& on, const positives_index& index, const cuda::device_dataset& data, json& points) {
  for (const std::uint32_t negatives : {4U, 1U, 16U}) {
    for (const std::uint64_t large : {65'536ULL, 1'048'576ULL}) {
      const std::uint64_t batch = on.small ? large / 64 : large;
      if (index.source().positive_count() * (negatives + 1ULL) < batch) continue;
      points.push_back(
          time_points(on, index, data, plan_training(index.source(), {1, negatives, 1, batch, padding_policy::drop})));
    }
  }
}

json time_evaluation(const context& on, const positives_index& index, const cuda::device_dataset& data, bool mlperf) {
  const std::uint32_t negatives = 999;
  const auto rows = std::min<std::uint64_t>(static_cast<std::uint64_t>(index.source().user_count()), 138'493);
  const evaluation_plan plan = plan_evaluation(index.source(), {negatives, negatives + 1, mlperf}, 1);
  device_batch out(rows * plan.row_length(), item_type_for(index.source().item_count()), on.memory, on.stream);
  cuda::device_buffer<std::byte> workspace(cuda::evaluation_workspace_bytes(plan, data.view(), rows), on.memory,
                                           on.stream);
  const auto fill = [&](int) {
    cuda::fill_evaluation_async(plan, data.view(), 0, rows, out.evaluation(), workspace.data(), {on.stream});
  };
  fill(0);
  const std::uint64_t checked = std::min<std::uint64_t>(rows, 256);
  check_rows(on.stream, plan, index, 0, checked, out);
  check_rows(on.stream, plan, index, rows - checked, checked, out);
  const timing t = time_on_device(on.warm(), on.memory, on.stream, fill);
  json result = to_json(t, static_cast<double>(rows * plan.row_length()));
  result["form"] = cuda::name_of(data.view().form);
  result["rows"] = rows;
  result["mlperf"] = mlperf;
  return result;
}

json time_overlap(const context& on, const positives_index& index, const cuda::device_dataset& data) {
  const training_plan plan = plan_training(index.source(), {1, 4, 1, 4096, padding_policy::drop});
  const std::uint64_t count = std::min<std::uint64_t>(plan.padded_count(), 1ULL << 25);
  const std::size_t buffer_bytes = on.small ? 1U << 17 : cuda::cuda_backend_options{}.buffer_bytes;
  json result = time_way_out(on.warm(), plan, make_cycle_key(plan, 0), data.view(), count, buffer_bytes, on.memory);
  // One batch per call, as generate makes them.
  const training_plan by_batch =
      plan_training(index.source(), {1, 4, 1, on.small ? 4096ULL : 65'536ULL, padding_policy::drop});
  const auto filler = make_backend("cuda", index, 1);
  const auto expected = make_backend("cpu", index, 0);
  const item_type width = item_type_for(index.source().item_count());
  result["calls"] = json::array();
  result["records"] = json::array();
  for (unsigned threads = 1; threads <= std::max(1U, std::thread::hardware_concurrency()); threads *= 2) {
    for (const bool page_locked : {false, true}) {
      result["calls"].push_back(
          time_calls(*filler, *expected, by_batch, width, threads, page_locked, on.small ? 8 : 512));
    }
    for (const bool in_place : {false, true}) {
      result["records"].push_back(time_records(*filler, by_batch, width, threads, in_place, on.small ? 8 : 512));
    }
  }
  return result;
}

constexpr std::uint64_t bitset_budget_bytes = 4ULL << 30;

// Returns the form that the backend would choose for this dataset on this card.
std::string automatic_form(const context& on, const dataset& source) {
  return cuda::name_of(cuda::device_dataset::upload_async(source, bitset_budget_bytes, membership_form::automatic,
                                                          on.memory, on.stream)
                           .view()
                           .form);
}

json time_shape(const context& on, const std::string& name, const dataset& source, const positives_index& index) {
  json points = json::array();
  json evaluation = json::array();
  json uploads = json::array();
  json way_out;
  for (const membership_form form :
       {membership_form::bloom_filter, membership_form::bitset, membership_form::sorted_search}) {
    if (form == membership_form::bitset &&
        bitset_bytes(source.user_count(), source.item_count()) > bitset_budget_bytes) {
      continue;
    }
    const auto data = cuda::device_dataset::upload_async(source, bitset_budget_bytes, form, on.memory, on.stream);
    NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(on.stream));
    uploads.push_back(time_upload(on.warm(), source, bitset_budget_bytes, form, on.memory, on.stream));
    add_points(on, index, data, points);
    if (source.item_count() > 2000) {
      evaluation.push_back(time_evaluation(on, index, data, true));
      evaluation.push_back(time_evaluation(on, index, data, false));
    }
    if (form == membership_form::bloom_filter && source.positive_count() > 10'000) {
      way_out = time_overlap(on, index, data);
    }
  }
  return {{"shape", name},
          {"users", source.user_count()},
          {"items", source.item_count()},
          {"positives", source.positive_count()},
          {"automatic_form", automatic_form(on, source)},
          {"points", points},
          {"evaluation", evaluation},
          {"uploads", uploads},
          {"sort", time_sort(on.warm(), source, on.memory, on.stream)},
          {"launches", time_launches(on.warm(), source, on.small ? 1024 : 65'536, on.memory, on.stream)},
          {"way_out", way_out}};
}

struct named_shape {
  std::string name;
  std::function<dataset()> make;
  bool has_draws = false;  ///< whether draws other than uniform points are measured
};

std::vector<named_shape> shapes_of(bool small) {
  std::vector<named_shape> shapes;
  // 2^26 + 1 (2^18 + 1) points: the worst case of a permutation over the next power of two.
  if (small) {
    shapes = {{"small", [] { return synthesize({.users = 300, .items = 2500, .interactions = 30'000}); }, true},
              {"wide", [] { return sparse_dataset(2000, 85'000, 20'000); }, true},
              {"2^18 + 1 points", [] { return sparse_dataset(500, 1000, ((1U << 18) + 1) / 5); }}};
  } else {
    shapes = {{"ml-20m", [] { return synthesize(synth_shape("ml-20m")); }, true},
              {"ml-1m", [] { return synthesize(synth_shape("ml-1m")); }, true},
              {"2^26 + 1 points", [] { return sparse_dataset(100'000, 20'000, ((1U << 26) + 1) / 5); }}};
  }
  for (const double density : {0.01, 0.3, 0.9}) {
    shapes.push_back({"density " + std::to_string(density).substr(0, 4),
                      [=] { return dense_dataset(small ? 200 : 20'000, 1000, density); }});
  }
  if (!small) shapes.push_back({"2 M x 850 k", [] { return sparse_dataset(2'000'000, 850'000, 200'000'000); }});
  return shapes;
}

json measure_ceilings(const context& on, std::uint64_t large_bytes) {
  json sectors = json::array();
  for (const std::uint64_t mebibytes : {4ULL, 32ULL, 96ULL, 512ULL, 2048ULL}) {
    const std::uint64_t footprint = on.small ? mebibytes << 12 : mebibytes << 20;
    sectors.push_back({{"footprint_bytes", footprint},
                       {"per_second", random_sectors_per_second(on.warm(), on.memory, on.stream, footprint)}});
  }
  return {{"instructions_per_second", on.instructions_per_second},
          {"copy_bytes_per_second", on.copy_bytes_per_second},
          {"bus_bytes_per_second", bus_bytes_per_second(on.warm(), on.memory, on.stream, large_bytes / 4)},
          {"random_sectors", sectors}};
}

json describe(const cudaDeviceProp& properties) {
  int driver = 0;
  int runtime = 0;
  NEGPIPE_CUDA_CHECK(cudaDriverGetVersion(&driver));
  NEGPIPE_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  return {{"name", properties.name},
          {"compute_capability", std::to_string(properties.major) + "." + std::to_string(properties.minor)},
          {"multiprocessors", properties.multiProcessorCount},
          {"l2_bytes", properties.l2CacheSize},
          {"memory_bytes", properties.totalGlobalMem},
          {"driver", driver},
          {"runtime", runtime}};
}

// Writes a file that is complete whenever this program is killed.
void save(const json& result, const std::string& path) {
  const std::string temporary = path + ".new";
  std::ofstream(temporary) << result.dump(2) << '\n';
  std::filesystem::rename(temporary, path);
}

// Adds the figures of a shape, or only its draws, to the result, and saves it after each part.
void measure_shape(const context& on, const named_shape& shape, bool only_draws, json& result,
                   const std::string& path) {
  std::fprintf(stderr, "%s\n", shape.name.c_str());
  const dataset source = shape.make();
  const positives_index index(source, bitset_budget_bytes);
  json measured{{"shape", shape.name}};
  if (!only_draws) measured = time_shape(on, shape.name, source, index);
  result["shapes"].push_back(measured);
  save(result, path);
  if (!shape.has_draws) return;
  const draw_bench draws{on.small, on.warm(), bitset_budget_bytes, on.memory, on.stream};
  result["shapes"].back()["draws"] = time_draws(draws, index, result["failures"]);
  save(result, path);
}

// Writes the results to a file after each shape. Returns false if a shape failed.
bool run(bool small, bool only_draws, const std::string& path) {
  const auto memory = cuda::make_pool_memory();
  const cuda::stream stream;
  cudaDeviceProp properties{};
  NEGPIPE_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  const std::uint64_t large_bytes = small ? 1ULL << 20 : 1ULL << 30;
  context on{small, *memory, stream.get(), properties.l2CacheSize, 0, 0};
  json result{{"device", describe(properties)}};
  if (!only_draws) {
    on.instructions_per_second = instructions_per_second(on.warm(), small ? 16 : 2048, *memory, stream.get());
    on.copy_bytes_per_second = copy_bytes_per_second(on.warm(), *memory, stream.get(), large_bytes);
    result["ceilings"] = measure_ceilings(on, large_bytes);
  }
  result["shapes"] = json::array();
  result["failures"] = json::array();
  save(result, path);
  for (const named_shape& shape : shapes_of(small)) {
    if (only_draws && !shape.has_draws) continue;
    try {
      measure_shape(on, shape, only_draws, result, path);
    } catch (const std::exception& failure) {
      std::fprintf(stderr, "%s: %s\n", shape.name.c_str(), failure.what());
      result["failures"].push_back(shape.name + ": " + failure.what());
    }
    save(result, path);
  }
  return result["failures"].empty();
}

}  // namespace
}  // namespace negpipe::bench

int main(int argc, char** argv) {
  bool small = false;
  bool only_draws = false;
  std::string path;
  bool is_understood = true;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--small") {
      small = true;
    } else if (argument == "--draws") {
      only_draws = true;
    } else if (argument == "--out" && i + 1 < argc) {
      path = argv[++i];
    } else {
      is_understood = false;
    }
  }
  if (!is_understood || path.empty()) {
    std::fprintf(stderr, "usage: cuda_bench --out FILE [--small] [--draws]\n");
    return 2;
  }
  try {
    return negpipe::bench::run(small, only_draws, path) ? 0 : 1;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "cuda_bench: %s\n", failure.what());
    return 1;
  }
}
