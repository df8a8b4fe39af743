#include "support/fixtures.hpp"

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "negpipe/synth.hpp"
#include "support/defaults.hpp"

namespace negpipe::bench {

namespace {

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double measure_random_lines(std::uint64_t bytes) {
  constexpr std::size_t huge_page = std::size_t{2} << 20;
  constexpr std::uint64_t line = 64;
  const std::size_t size = (bytes + huge_page - 1) / huge_page * huge_page;
  struct deleter {
    void operator()(unsigned char* memory) const { std::free(memory); }
  };
  const std::unique_ptr<unsigned char, deleter> memory(
      static_cast<unsigned char*>(std::aligned_alloc(huge_page, size)));
  if (!memory) throw std::bad_alloc();
  (void)::madvise(memory.get(), size, MADV_HUGEPAGE);
  std::fill_n(memory.get(), size, static_cast<unsigned char>(1));
  constexpr std::uint64_t reads = 1 << 23;
  double best = 0;
  for (int repeat = 0; repeat < ceiling_repetitions; ++repeat) {
    std::uint64_t state = 12345;
    std::uint64_t sum = 0;
    const double start = thread_seconds();
    for (std::uint64_t i = 0; i < reads; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;  // addresses do not depend on values read
      sum += memory.get()[((state >> 32) * (bytes / line) >> 32) * line];
    }
    best = std::max(best, static_cast<double>(reads) / (thread_seconds() - start));
    if (sum != reads) return 0;  // keeps the compiler from removing the reads
  }
  return best;
}

}  // namespace

const dataset& dataset_of(std::string_view shape) {
  static std::map<std::string, dataset, std::less<>> made;
  auto found = made.find(shape);
  if (found == made.end()) {
    synth_options options = synth_shape(shape);
    options.seed = seed;
    found = made.emplace(shape, synthesize(options)).first;
  }
  return found->second;
}

const positives_index& index_of(std::string_view shape, core::membership form) {
  static std::map<std::pair<std::string, core::membership>, positives_index> made;
  const std::pair key(std::string(shape), form);
  auto found = made.find(key);
  if (found == made.end()) {
    found = made.emplace(key, positives_index(dataset_of(shape), default_bitset_budget_bytes, {}, form)).first;
  }
  return found->second;
}

double random_lines_per_second(std::uint64_t bytes) {
  static std::map<std::uint64_t, double> measured;
  auto found = measured.find(bytes);
  if (found == measured.end()) found = measured.emplace(bytes, measure_random_lines(bytes)).first;
  return found->second;
}

}  // namespace negpipe::bench
