// Different (seed, purpose, cycle, index, attempt) never share a block of random words.
#include "negpipe/core/counter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <random>
#include <set>
#include <utility>

namespace negpipe::core {
namespace {

struct draw_name {
  std::uint64_t seed;
  tag purpose;
  std::uint32_t cycle;
  std::uint64_t index;
  std::uint32_t attempt;
};

/// The fields of a counter, read back from make_counter's words.
draw_name read_back(const counter& c, std::uint64_t seed) {
  return {seed, static_cast<tag>(c.word[1] >> attempt_bits), c.word[0],
          static_cast<std::uint64_t>(c.word[3]) << 32 | c.word[2], c.word[1] & max_attempt};
}

bool same(const draw_name& a, const draw_name& b) {
  return a.seed == b.seed && a.purpose == b.purpose && a.cycle == b.cycle && a.index == b.index &&
         a.attempt == b.attempt;
}

TEST(counter, fields_are_disjoint) {
  const counter c = make_counter(tag::synth, 0x01234567, 0x89ABCDEF02468ACE, 0xFDB975);
  EXPECT_EQ(c.word[0], 0x01234567U);
  EXPECT_EQ(c.word[1], 8U << 24 | 0xFDB975U);
  EXPECT_EQ(c.word[2], 0x02468ACEU);
  EXPECT_EQ(c.word[3], 0x89ABCDEFU);
}

// If a layout can be read back, different draws have different counters.
TEST(counter, fields_can_be_read_back) {
  std::mt19937_64 generator(1);
  for (int i = 0; i < 10'000'000; ++i) {
    const std::uint64_t r = generator();
    const draw_name name = {0, static_cast<tag>(r % 64), static_cast<std::uint32_t>(r >> 6) >> (r >> 59),
                            generator() >> (r >> 38 & 63), static_cast<std::uint32_t>(r >> 40) & max_attempt};
    if (!same(read_back(make_counter(name.purpose, name.cycle, name.index, name.attempt), 0), name)) {
      FAIL() << "tag " << r % 64 << ", cycle " << name.cycle << ", index " << name.index << ", attempt "
             << name.attempt;
    }
  }
}

TEST(counter, word_1_fits_the_30_bits_of_a_curand_offset) {
  EXPECT_LT(make_counter(tag{63}, ~0U, ~0ULL, max_attempt).word[1], 1U << 30);
}

/// A key and a counter, the input of Philox.
using address = std::pair<std::uint64_t, std::array<std::uint32_t, 4>>;
using addressing = std::function<address(const draw_name&)>;

/// Returns the number of draws in a grid of neighbours that share an address with another.
int shared_addresses(const addressing& address_of) {
  std::set<address> seen;
  int shared = 0;
  for (std::uint64_t seed = 42; seed < 46; ++seed) {
    for (std::uint32_t purpose = 0; purpose < 20; ++purpose) {
      for (std::uint32_t cycle = 0; cycle < 4; ++cycle) {
        for (std::uint64_t index = 0; index < 12; ++index) {
          for (std::uint32_t attempt = 0; attempt < 17; ++attempt) {
            shared += !seen.insert(address_of({seed, tag{purpose}, cycle, index, attempt})).second;
          }
        }
      }
    }
  }
  return shared;
}

address address_in_core(const draw_name& name) {
  const counter c = make_counter(name.purpose, name.cycle, name.index, name.attempt);
  return {name.seed, {c.word[0], c.word[1], c.word[2], c.word[3]}};
}

TEST(counter, neighbouring_draws_share_no_block) { EXPECT_EQ(shared_addresses(address_in_core), 0); }

TEST(counter, check_rejects_a_cycle_added_to_the_seed) {
  EXPECT_GT(shared_addresses([](draw_name name) {
              name.seed += name.cycle;
              name.cycle = 0;
              return address_in_core(name);
            }),
            0);
}

TEST(counter, check_rejects_an_attempt_added_to_the_index) {
  EXPECT_GT(shared_addresses([](draw_name name) {
              name.index += name.attempt;
              name.attempt = 0;
              return address_in_core(name);
            }),
            0);
}

}  // namespace
}  // namespace negpipe::core
