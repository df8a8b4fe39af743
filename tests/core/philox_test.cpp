// Philox4x32-10 against the vectors published with Random123, and against Random123 itself.
#include "negpipe/core/philox.hpp"

#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "core/known_answers.hpp"

namespace negpipe::core {
namespace {

TEST(philox, equals_the_published_vectors) {
  for (const auto& known : test::philox_vectors) {
    const random_block block = philox4x32_10({{known.counter[0], known.counter[1], known.counter[2], known.counter[3]}},
                                             static_cast<std::uint64_t>(known.key[1]) << 32 | known.key[0]);
    for (int w = 0; w < 4; ++w) EXPECT_EQ(block.word[w], known.block[w]) << "word " << w;
  }
}

TEST(philox, equals_random123) {
  std::mt19937_64 generator(1);
  r123::Philox4x32_R<10> reference;
  for (int i = 0; i < 200'000; ++i) {
    // Shifted, so that counters and keys with many zeros occur.
    const std::uint64_t low = generator() >> (i % 64);
    const std::uint64_t high = generator() >> (i / 64 % 64);
    const std::uint64_t key = generator() >> (i / 4096 % 64);
    const counter c = {{static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32),
                        static_cast<std::uint32_t>(high), static_cast<std::uint32_t>(high >> 32)}};
    const auto wanted = reference({{c.word[0], c.word[1], c.word[2], c.word[3]}},
                                  {{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}});
    const random_block found = philox_source{key}(c);
    for (std::size_t w = 0; w < 4; ++w) ASSERT_EQ(found.word[w], wanted[w]);
  }
}

/// Returns the share of a block's bits that change when one of the 192 bits of counter and key is flipped.
double flipped_share(unsigned bit, random_block (*generate)(counter, std::uint64_t)) {
  std::mt19937_64 generator(bit);
  constexpr int samples = 2000;
  int flipped = 0;
  for (int i = 0; i < samples; ++i) {
    const std::uint64_t low = generator();
    counter c = {
        {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32), static_cast<std::uint32_t>(i), 0}};
    std::uint64_t key = generator();
    const random_block before = generate(c, key);
    if (bit < 128) {
      c.word[bit / 32] ^= 1U << (bit % 32);
    } else {
      key ^= std::uint64_t{1} << (bit - 128);
    }
    const random_block after = generate(c, key);
    for (int w = 0; w < 4; ++w) flipped += std::popcount(before.word[w] ^ after.word[w]);
  }
  return flipped / (128.0 * samples);
}

// The standard deviation of a share is 0.1 %, so the tolerance of 1 % is ten of them.
TEST(philox, a_flipped_bit_of_counter_or_key_flips_half_of_the_block) {
  for (unsigned bit = 0; bit < 192; ++bit) EXPECT_NEAR(flipped_share(bit, philox4x32_10), 0.5, 0.01) << "bit " << bit;
}

TEST(philox, check_rejects_a_generator_with_too_few_rounds) {
  const auto one_multiplication = [](counter c, std::uint64_t key) {
    const std::uint64_t product = mul_wide(0xD2511F53U, c.word[0]);
    return random_block{{static_cast<std::uint32_t>(product), static_cast<std::uint32_t>(product >> 32) ^ c.word[1],
                         c.word[2] ^ static_cast<std::uint32_t>(key),
                         c.word[3] ^ static_cast<std::uint32_t>(key >> 32)}};
  };
  for (const unsigned bit : {0U, 40U, 100U, 130U}) EXPECT_LT(flipped_share(bit, one_multiplication), 0.49);
}

}  // namespace
}  // namespace negpipe::core
