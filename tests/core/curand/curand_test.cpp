// Philox against cuRAND's host generator, which runs without a GPU. It walks 65,536 subsequences abreast, a block of
// each in turn: its i-th group of four words is the block at counter words (i div 65536, 0, i mod 65536, 0) under the
// seed's halves as the key.
#include <curand.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "negpipe/core/philox.hpp"

namespace negpipe::core {
namespace {

class host_generator {
 public:
  explicit host_generator(std::uint64_t seed) {
    check(curandCreateGeneratorHost(&generator_, CURAND_RNG_PSEUDO_PHILOX4_32_10));
    check(curandSetPseudoRandomGeneratorSeed(generator_, seed));
  }
  ~host_generator() { curandDestroyGenerator(generator_); }
  host_generator(const host_generator&) = delete;
  host_generator& operator=(const host_generator&) = delete;

  std::vector<std::uint32_t> words(std::size_t count) {
    std::vector<std::uint32_t> out(count);
    check(curandGenerate(generator_, out.data(), count));
    return out;
  }

 private:
  static void check(curandStatus_t status) {
    if (status != CURAND_STATUS_SUCCESS) throw std::runtime_error("cuRAND status " + std::to_string(status));
  }
  curandGenerator_t generator_{};
};

TEST(curand, the_host_generator_and_core_agree_past_several_turns_of_65536) {
  constexpr std::size_t groups = 5 * 65536 + 1000;
  for (const std::uint64_t seed : {0ULL, 1ULL, 42ULL, 0x0123456789ABCDEFULL, ~0ULL}) {
    const auto words = host_generator(seed).words(4 * groups);
    for (std::size_t i = 0; i < groups; ++i) {
      const auto turn = static_cast<std::uint32_t>(i / 65536);
      const auto subsequence = static_cast<std::uint32_t>(i % 65536);
      const random_block block = philox4x32_10({{turn, 0, subsequence, 0}}, seed);
      for (std::size_t w = 0; w < 4; ++w) ASSERT_EQ(words[4 * i + w], block.word[w]) << "group " << i << ", word " << w;
    }
  }
}

// The same through the layout of counters: subsequence = index, offset = 4 * (word 1 << 32 | word 0).
TEST(curand, subsequences_are_indices_and_offsets_are_cycles) {
  const auto words = host_generator(42).words(4 * 3 * 65536);
  for (std::uint32_t cycle = 0; cycle < 3; ++cycle) {
    for (std::uint64_t index = 0; index < 65536; index += 13) {
      const random_block block = philox_source{42}(make_counter(tag{0}, cycle, index, 0));
      ASSERT_EQ(words[4 * (cycle * 65536 + index)], block.word[0]);
    }
  }
}

}  // namespace
}  // namespace negpipe::core
