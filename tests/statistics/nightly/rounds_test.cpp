// Checks permutation::rounds_for: searches, at sizes on both sides of its thresholds, for the fewest half rounds that
// pass the battery with sixty million images. The choice must exceed them by at least one round (two half rounds).
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>

#include "statistics/nightly/seed.hpp"
#include "statistics/support/permutation_battery.hpp"

namespace negpipe::test {
namespace {

constexpr std::uint64_t images = 60'000'000;

/// Searches down from the chosen number for the fewest half rounds that pass. Returns chosen + 2 if the choice fails.
template <typename Battery>
int fewest_passing(int chosen, const Battery& battery) {
  int fewest = chosen + 2;
  while (fewest > 4 && consistent(battery(fewest - 2))) fewest -= 2;
  return fewest;
}

void expect_margin(std::uint64_t size, int fewest) {
  const int chosen = core::permutation::rounds_for(size);
  std::printf("| %12llu | %2d | %2d |\n", static_cast<unsigned long long>(size), fewest, chosen);
  std::fflush(stdout);
  EXPECT_GE(chosen, fewest + 2) << "size " << size << ": " << chosen << " half rounds, fewest that pass: " << fewest;
}

TEST(rounds, exceed_the_fewest_that_pass) {
  std::printf("|         size | fewest half rounds that pass | chosen |\n");
  for (const std::uint32_t size :
       {65U,     66U,     81U,      100U,      128U,    129U,    255U, 521U, 1000U, 1023U,  // 16
        1024U,   1025U,   4099U,    10'000U,   32'768U, 65'535U,                            // 12
        65'536U, 65'537U, 100'003U, 1'000'003U}) {                                          // 8
    expect_margin(size, fewest_passing(core::permutation::rounds_for(size), [&](int rounds) {
                    return permutation_battery(size, images / size, core_family(rounds, nightly_seed()));
                  }));
  }
}

TEST(rounds, exceed_the_fewest_that_pass_at_sizes_too_large_to_enumerate) {
  for (const std::uint64_t size : {100'000'007ULL, (1ULL << 32) + 1, (1ULL << 40) + 1}) {
    expect_margin(size, fewest_passing(core::permutation::rounds_for(size), [&](int rounds) {
                    return sampled_battery(size, images, rounds, nightly_seed());
                  }));
  }
}

// Control: the battery itself must accept a true shuffle at the same sample sizes.
TEST(rounds, battery_accepts_a_textbook_shuffle) {
  for (const std::uint32_t size : {65U, 1024U, 65'536U}) {
    EXPECT_TRUE(consistent(permutation_battery(size, images / size, textbook_family()))) << size;
  }
}

}  // namespace
}  // namespace negpipe::test
