// Bounded integers are uniform at 32 and 64 bits; biased methods are detected.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "negpipe/core/philox.hpp"
#include "statistics/support/goodness.hpp"
#include "statistics/support/mutants.hpp"

namespace negpipe::test {
namespace {

// Modulo bias of 32-bit words shows only where the range is a large part of 2^32.
TEST(bounded_draws, detect_the_bias_of_the_remainder) {
  constexpr std::uint32_t n = 3'000'000'000;
  const auto in_bins = [&](const std::function<bool(std::uint32_t, std::uint32_t&)>& draw) {
    std::vector<std::uint64_t> counts(30, 0);
    for (std::uint64_t i = 0; i < 200'000; ++i) {
      std::uint32_t value = 0;
      if (draw(mutants::candidate_word(42, 0, i, 0), value)) ++counts[value / 100'000'000];
    }
    return p_values{uniform_test("n = 3e9", counts)};
  };
  EXPECT_TRUE(consistent(in_bins(core::bounded32::make(n))));
  EXPECT_FALSE(consistent(in_bins([](std::uint32_t word, std::uint32_t& value) {
    value = word % n;
    return true;
  })));
}

/// Tests the remainder of draws by 3. Without rejection, multiplication maps two of four words to every third value.
template <typename Word>
p_values by_remainder(Word n, const std::function<bool(Word, Word&)>& draw) {
  std::vector<std::uint64_t> counts(3, 0);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const auto block = core::philox4x32_10(core::make_counter(core::tag::padding, 0, i, 0), 42);
    const auto word = static_cast<Word>(std::uint64_t{block.word[1]} << 32 | block.word[0]);
    Word value = 0;
    if (draw(word, value)) ++counts[value % 3];
  }
  return {uniform_test("remainder by 3 of " + std::to_string(n), counts)};
}

TEST(bounded_draws, detect_missing_rejection) {
  constexpr std::uint32_t narrow = 3U << 30;
  constexpr std::uint64_t wide = 3ULL << 62;
  EXPECT_TRUE(consistent(by_remainder<std::uint32_t>(narrow, core::bounded32::make(narrow))));
  EXPECT_TRUE(consistent(by_remainder<std::uint64_t>(wide, core::bounded64::make(wide))));
  EXPECT_FALSE(consistent(by_remainder<std::uint32_t>(narrow, [](std::uint32_t word, std::uint32_t& value) {
    value = core::mul_hi(word, narrow);
    return true;
  })));
  EXPECT_FALSE(consistent(by_remainder<std::uint64_t>(wide, [](std::uint64_t word, std::uint64_t& value) {
    value = core::mul_wide64(word, wide).hi;
    return true;
  })));
}

/// Returns whether words at both ends and some between map to values below n, and the last word to n - 1.
template <typename Draw>
bool stays_in_range(std::uint32_t n, const Draw& draw) {
  std::uint32_t value = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    for (const std::uint32_t word : {i, ~i, i * 0x9E3779B9U}) {
      draw(word, value);
      if (value >= n) return false;
    }
  }
  return draw(~0U, value) && value == n - 1;
}

// A float rounds the largest words up to 1.0, and 1.0 * n is n.
TEST(bounded_draws, detect_a_value_past_the_range) {
  for (const std::uint32_t n : {2U, 300U, 26'744U, 65'536U, 3'000'000'000U}) {
    EXPECT_TRUE(stays_in_range(n, core::bounded32::make(n))) << n;
    EXPECT_FALSE(stays_in_range(n, [n](std::uint32_t word, std::uint32_t& value) {
      value = static_cast<std::uint32_t>(static_cast<float>(word) * 0x1p-32F * static_cast<float>(n));
      return true;
    })) << n;
  }
}

TEST(bounded_draws, are_uniform_at_32_and_64_bits) {
  p_values all;
  for (const std::uint32_t n : {2U, 3U, 1000U, 26'744U, 65'535U}) {
    std::vector<std::uint64_t> narrow(n, 0);
    std::vector<std::uint64_t> wide(n, 0);
    for (std::uint64_t i = 0; i < 100ULL * n; ++i) {
      const auto block = core::philox4x32_10(core::make_counter(core::tag::padding, 0, i, 0), n);
      std::uint32_t value = 0;
      std::uint64_t value64 = 0;
      if (core::bounded32::make(n)(block.word[0], value)) ++narrow[value];
      if (core::bounded64::make(n)(std::uint64_t{block.word[3]} << 32 | block.word[2], value64)) ++wide[value64];
    }
    all.push_back(uniform_test("32 bits, n = " + std::to_string(n), narrow));
    all.push_back(uniform_test("64 bits, n = " + std::to_string(n), wide));
  }
  EXPECT_TRUE(consistent(all));
}

}  // namespace
}  // namespace negpipe::test
