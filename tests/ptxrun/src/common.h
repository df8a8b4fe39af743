// Shared helpers: configuration from the environment, reporting, device faults.
#pragma once
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>

namespace ptxrun {

struct Config {
  int devices = 1;
  uint64_t memory = 4ull << 30;
  bool poison = true, initcheck = false, leakcheck = false, async = false, stats = false, trace = false;
  int racecheck = 0, synccheck = 1, threads = 1;
  uint64_t seed = 1;     // PTXRUN_SEED: order of streams in asynchronous mode
  bool shuffle = false;  // PTXRUN_WARP_ORDER given
  uint64_t warp_order = 0;
  std::string stats_file, fail;
};
const Config& config();

// One lock for the whole runtime: kernels run under it.
std::recursive_mutex& big_lock();

// A fault raised while a kernel (or a deferred operation) runs.
struct DeviceFault {
  int code;  // cudaError_t
  std::string text;
};

void report(const std::string& text);  // to stderr, with the prefix
std::string strf(const char* f, ...) __attribute__((format(printf, 1, 2)));
std::string demangle(const std::string& name);

struct Rng {
  uint64_t s;
  explicit Rng(uint64_t seed = 1) : s(seed * 0x9E3779B97F4A7C15ull + 0x1234567) {}
  uint64_t next() {  // splitmix64
    uint64_t z = (s += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t n) { return n ? uint32_t(next() % n) : 0; }
};

}  // namespace ptxrun
