// Writes an endless stream of random words to stdout, for dieharder. The blocks of neighbouring draws are interleaved
// over seeds, cycles, purposes and attempts, so that a correlation of two streams becomes one within this stream.
#include <array>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "statistics/nightly/seed.hpp"

using namespace negpipe::core;

int main() {
  const std::uint64_t seed = negpipe::test::nightly_seed();
  const std::array<std::uint64_t, 4> seeds = {seed, seed + 1, seed ^ (1ULL << 40), ~seed};
  constexpr std::array<tag, 3> purposes = {tag::train_draw, tag::eval_draw, tag::padding};
  constexpr std::uint32_t cycles = 3;
  constexpr std::uint32_t attempts = 2;
  constexpr std::uint64_t indices_per_write = 256;
  std::vector<random_block> buffer;
  for (std::uint64_t index = 0;; ++index) {
    for (const std::uint64_t key : seeds) {
      for (std::uint32_t cycle = 0; cycle < cycles; ++cycle) {
        for (const tag purpose : purposes) {
          for (std::uint32_t attempt = 0; attempt < attempts; ++attempt) {
            buffer.push_back(philox4x32_10(make_counter(purpose, cycle, index, attempt), key));
          }
        }
      }
    }
    if (index % indices_per_write != indices_per_write - 1) continue;
    if (std::fwrite(buffer.data(), sizeof(random_block), buffer.size(), stdout) != buffer.size()) return 0;
    buffer.clear();
  }
}
