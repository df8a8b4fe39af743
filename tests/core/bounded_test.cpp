// Bounded integers accept every value equally often: proved by enumeration for a 16-bit instance of the rule, and at
// full width by counting the words of single values.
#include "negpipe/core/bounded.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace negpipe::core {
namespace {

__extension__ using uint128 = unsigned __int128;

/// The rule of bounded32 and bounded64, with the word's width as a parameter.
template <unsigned Width>
struct bounded_rule {
  static constexpr uint128 words = uint128{1} << Width;

  static bool accepts(std::uint64_t word, std::uint64_t n, std::uint64_t& value) {
    const uint128 product = static_cast<uint128>(word) * n;
    value = static_cast<std::uint64_t>(product >> Width);
    return product % words >= words % n;
  }
};

std::vector<std::uint64_t> bounds(unsigned width) {
  std::vector<std::uint64_t> all;
  for (std::uint64_t n = 1; n <= 300; ++n) all.push_back(n);
  for (unsigned k = 9; k < width; ++k) {
    for (const std::uint64_t offset : {~0ULL, 0ULL, 1ULL}) all.push_back((1ULL << k) + offset);
  }
  all.push_back(width == 64 ? ~0ULL : (1ULL << width) - 1);
  return all;
}

TEST(bounded, sixteen_bit_words_hit_every_value_equally_often) {
  for (const std::uint64_t n : bounds(16)) {
    std::vector<std::uint32_t> count(n, 0);
    for (std::uint64_t word = 0; word < 65536; ++word) {
      std::uint64_t value = 0;
      const bool accepted = bounded_rule<16>::accepts(word, n, value);
      ASSERT_LT(value, n);
      if (accepted) ++count[value];
    }
    for (const std::uint32_t c : count) ASSERT_EQ(c, 65536 / n) << "n = " << n;
  }
}

template <typename Bounded, typename Word>
void expect_the_rule() {
  constexpr unsigned width = sizeof(Word) * 8;
  std::mt19937_64 generator(1);
  for (const std::uint64_t n : bounds(width)) {
    const auto draw = Bounded::make(static_cast<Word>(n));
    for (int i = 0; i < 1000; ++i) {
      const auto word = static_cast<Word>(i == 0 ? 0 : i == 1 ? ~0ULL : generator());
      Word value = 0;
      std::uint64_t wanted = 0;
      ASSERT_EQ(draw(word, value), bounded_rule<width>::accepts(word, n, wanted)) << n << ' ' << word;
      ASSERT_EQ(value, wanted);
    }
  }
}

TEST(bounded, bounded32_equals_the_rule) { expect_the_rule<bounded32, std::uint32_t>(); }
TEST(bounded, bounded64_equals_the_rule) { expect_the_rule<bounded64, std::uint64_t>(); }

/// The words of a value are a run whose low halves increase by n, so only its first may be rejected. Counts them.
template <typename Bounded, typename Word>
void expect_equal_shares() {
  constexpr uint128 words = uint128{1} << (sizeof(Word) * 8);
  std::mt19937_64 generator(2);
  for (const std::uint64_t n : bounds(sizeof(Word) * 8)) {
    const auto draw = Bounded::make(static_cast<Word>(n));
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t v = i == 0 ? 0 : i == 1 ? n - 1 : generator() % n;
      const uint128 first = (static_cast<uint128>(v) * words + n - 1) / n;
      const uint128 end = (static_cast<uint128>(v + 1) * words + n - 1) / n;
      Word value = 0;
      const bool first_accepted = draw(static_cast<Word>(first), value);
      ASSERT_EQ(value, v);
      if (end - first > 1) {
        ASSERT_TRUE(draw(static_cast<Word>(first + 1), value));
        ASSERT_TRUE(draw(static_cast<Word>(end - 1), value));
        ASSERT_EQ(value, v);
      }
      ASSERT_TRUE(end - first - (first_accepted ? 0 : 1) == words / n) << "n = " << n << ", value " << v;
    }
  }
}

TEST(bounded, all_32_bit_words_are_shared_equally) { expect_equal_shares<bounded32, std::uint32_t>(); }
TEST(bounded, all_64_bit_words_are_shared_equally) { expect_equal_shares<bounded64, std::uint64_t>(); }

}  // namespace
}  // namespace negpipe::core
