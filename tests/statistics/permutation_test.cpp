// The keyed network (sizes above 64) passes every statistic of the battery; with too few rounds it fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "statistics/support/permutation_battery.hpp"
#include "statistics/support/permutation_mutants.hpp"

namespace negpipe::test {
namespace {

/// Sizes beside the thresholds of rounds_for, powers of two and squares; primes; and some of each class in between.
constexpr std::uint32_t sizes[] = {65,   66,   80,   81,   97,    100,   127,   128,   129,    255,      1000,
                                   1023, 1024, 1025, 4099, 10000, 65535, 65536, 65537, 100003, 1'000'003};

/// Returns the number of keys that gives about a million images.
std::uint64_t keys_for(std::uint32_t size) { return std::max<std::uint64_t>(1'000'000 / size, 2); }

p_values prefixed(std::uint32_t size, p_values values) {
  for (p_value& value : values) value.name = "N = " + std::to_string(size) + ", " + value.name;
  return values;
}

p_values all_sizes(const permutation_family& family) {
  p_values all;
  for (const std::uint32_t size : sizes) append(all, prefixed(size, permutation_battery(size, keys_for(size), family)));
  return all;
}

TEST(permutation_battery, accepts_a_textbook_shuffle) { EXPECT_TRUE(consistent(all_sizes(textbook_family()))); }

TEST(permutation_battery, accepts_the_core) { EXPECT_TRUE(consistent(all_sizes(core_family()))); }

TEST(permutation_battery, rejects_four_rounds_at_every_size) {
  for (const std::uint32_t size : sizes) {
    EXPECT_FALSE(consistent(permutation_battery(size, keys_for(size), core_family(4)))) << "N = " << size;
  }
}

// The battery detects six rounds where the radices are small; for larger sizes see the nightly search.
TEST(permutation_battery, rejects_six_rounds_at_small_sizes) {
  for (const std::uint32_t size : {65U, 100U, 128U, 255U}) {
    EXPECT_FALSE(consistent(permutation_battery(size, 8 * keys_for(size), core_family(6)))) << "N = " << size;
  }
}

TEST(permutation_battery, rejects_an_affine_shuffle) {
  for (const std::uint32_t size : {65U, 1000U, 65537U}) {
    EXPECT_FALSE(consistent(permutation_battery(size, keys_for(size), mutants::affine))) << "N = " << size;
  }
}

TEST(permutation_battery, rejects_a_shuffle_by_swaps_with_any_element) {
  EXPECT_FALSE(consistent(permutation_battery(65, 100'000, mutants::swap_with_any)));
}

/// Returns the core's permutations, with `later` added to the cycle.
permutation_family later_cycle(std::uint64_t seed, std::uint64_t later) {
  return [family = core_family(0, seed), later](std::uint64_t key, std::span<std::uint32_t> image) {
    family(key + later, image);
  };
}

TEST(permutation_battery, successive_cycles_and_neighbouring_seeds_are_independent) {
  p_values all;
  for (const std::uint32_t size : {65U, 100U, 1025U, 65537U}) {
    const auto add = [&](const permutation_family& a, const permutation_family& b) {
      append(all, prefixed(size, permutation_battery(size, keys_for(size), relation(a, b))));
    };
    add(core_family(), later_cycle(42, 1));
    add(core_family(), core_family(0, 43));
    add(later_cycle(42, 1), core_family(0, 43));
    for (const unsigned k : {0U, 31U, 32U, 63U}) add(core_family(), core_family(0, 42ULL ^ (1ULL << k)));
  }
  EXPECT_TRUE(consistent(all));
}

TEST(permutation_battery, rejects_cycles_that_share_a_key) {
  const permutation_family same_key = [](std::uint64_t, std::span<std::uint32_t> image) { core_family()(0, image); };
  EXPECT_FALSE(consistent(permutation_battery(1025, 500, relation(same_key, same_key))));
  EXPECT_FALSE(consistent(permutation_battery(1025, 500, same_key)));
  // Mutant: the cycle is added to the seed, so cycle 1 of one seed is cycle 0 of the next.
  const auto added = [](std::uint64_t seed, std::uint64_t later) {
    return permutation_family(
        [=](std::uint64_t key, std::span<std::uint32_t> image) { core_family(0, seed + key + later)(0, image); });
  };
  EXPECT_FALSE(consistent(permutation_battery(1025, 500, relation(added(42, 1), added(43, 0)))));
}

TEST(permutation_battery, accepts_the_core_at_sizes_too_large_to_enumerate) {
  for (const std::uint64_t size : {100'000'007ULL, (1ULL << 32) + 1, 1'000'000'000'039ULL}) {
    EXPECT_TRUE(consistent(sampled_battery(size, 8'000'000, 0))) << "N = " << size;
  }
}

TEST(permutation_battery, rejects_four_rounds_at_sizes_too_large_to_enumerate) {
  for (const std::uint64_t size : {100'000'007ULL, (1ULL << 32) + 1}) {
    EXPECT_FALSE(consistent(sampled_battery(size, 8'000'000, 4))) << "N = " << size;
  }
}

std::vector<double> longest_increasing(std::uint32_t size, std::uint64_t keys, const permutation_family& family) {
  std::vector<double> lengths;
  std::vector<std::uint32_t> image(size);
  for (std::uint64_t key = 0; key < keys; ++key) {
    family(key, image);
    std::vector<std::uint32_t> tails;
    for (const std::uint32_t y : image) {
      const auto tail = std::lower_bound(tails.begin(), tails.end(), y);
      if (tail == tails.end()) {
        tails.push_back(y);
      } else {
        *tail = y;
      }
    }
    lengths.push_back(static_cast<double>(tails.size()));
  }
  return lengths;
}

/// Compares the means of two samples, because the distribution of the lengths has no simple form.
p_value same_mean_test(const std::string& name, const std::vector<double>& a, const std::vector<double>& b) {
  const auto mean_and_error = [](const std::vector<double>& v) {
    double mean = 0;
    for (const double x : v) mean += x / static_cast<double>(v.size());
    double square = 0;
    for (const double x : v) square += (x - mean) * (x - mean) / static_cast<double>(v.size());
    return std::pair(mean, square / static_cast<double>(v.size()));
  };
  const auto [mean_a, error_a] = mean_and_error(a);
  const auto [mean_b, error_b] = mean_and_error(b);
  return normal_test(name, (mean_a - mean_b) / std::sqrt(error_a + error_b));
}

/// Mutant: each half is shuffled by itself.
void in_two_halves(std::uint64_t key, std::span<std::uint32_t> image) {
  const std::size_t half = image.size() / 2;
  core_family()(2 * key, image.first(half));
  core_family()(2 * key + 1, image.subspan(half));
  for (auto& y : image.subspan(half)) y += static_cast<std::uint32_t>(half);
}

TEST(longest_increasing_subsequence, is_as_long_as_a_textbook_shuffles) {
  for (const std::uint32_t size : {100U, 1000U, 10'000U}) {
    const std::uint64_t keys = 4'000'000 / size;
    const auto control = longest_increasing(size, keys, textbook_family());
    EXPECT_TRUE(consistent({same_mean_test("core", longest_increasing(size, keys, core_family()), control)}));
    EXPECT_FALSE(consistent({same_mean_test("halves", longest_increasing(size, keys, in_two_halves), control)}));
    // About 2 sqrt(n) - 1.77 n^(1/6): Baik, Deift and Johansson, 1999.
    EXPECT_NEAR(control[0], 2 * std::sqrt(size) - 1.77 * std::pow(size, 1.0 / 6), 8 * std::pow(size, 1.0 / 6));
  }
}

p_values mean_positions(std::uint32_t size, std::uint64_t keys, const permutation_family& family) {
  std::vector<double> sum(size, 0);
  std::vector<std::uint32_t> image(size);
  for (std::uint64_t key = 0; key < keys; ++key) {
    family(key, image);
    for (std::uint32_t x = 0; x < size; ++x) sum[x] += image[x];
  }
  const double n = size;
  const auto trials = static_cast<double>(keys);
  p_values all;
  for (std::uint32_t x = 0; x < size; ++x) {
    const double z = (sum[x] - trials * (n - 1) / 2) / std::sqrt(trials * (n * n - 1) / 12);
    all.push_back(normal_test("mean position of " + std::to_string(x), z));
  }
  return all;
}

TEST(mean_position, is_the_middle_for_every_element) {
  for (const std::uint32_t size : {50U, 100U, 2500U}) {
    EXPECT_TRUE(consistent(mean_positions(size, 1000, core_family()))) << size;
  }
  EXPECT_FALSE(consistent(mean_positions(100, 1000, in_two_halves)));
}

}  // namespace
}  // namespace negpipe::test
