#include <gtest/gtest.h>

#include <cstdint>
#include <set>

#include "negpipe/shards.hpp"

namespace negpipe {
namespace {

// The first eight bytes of MD5, as hashlib gives them.
TEST(shard_seed, has_frozen_values) {
  EXPECT_EQ(shard_seed(7, 0, 4), 15048083126004194132U);
  EXPECT_EQ(shard_seed(18'446'744'073'709'551'615U, 9'999, 10'000), 1748624248041187547U);
}

TEST(shard_seed, differs_between_shards_seeds_and_numbers_of_shards) {
  std::set<std::uint64_t> seeds;
  for (const std::uint64_t seed : {0U, 1U, 10U}) {
    for (std::uint32_t count = 1; count <= 12; ++count) {
      for (std::uint32_t shard = 0; shard < count; ++shard) seeds.insert(shard_seed(seed, shard, count));
    }
  }
  EXPECT_EQ(seeds.size(), 3U * 78U);
}

}  // namespace
}  // namespace negpipe
