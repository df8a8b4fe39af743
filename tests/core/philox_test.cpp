// Philox4x32-10 against the vectors published with Random123, and against Random123 itself.
#include "negpipe/core/philox.hpp"

#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <random>

#include "core/known_answers.hpp"

namespace negpipe::core {
namespace {

TEST(philox, gives_the_published_vectors) {
  for (const auto& known : test::philox_vectors) {
    const random_block block = philox4x32_10({{known.counter[0], known.counter[1], known.counter[2], known.counter[3]}},
                                             static_cast<std::uint64_t>(known.key[1]) << 32 | known.key[0]);
    for (int w = 0; w < 4; ++w) EXPECT_EQ(block.word[w], known.block[w]) << "word " << w;
  }
}

TEST(philox, agrees_with_random123) {
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

}  // namespace
}  // namespace negpipe::core
