// Layout of batches in files: each batch in one file, in order, for every pair of counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "negpipe/plan.hpp"

namespace negpipe {
namespace {

TEST(file_layout, puts_every_batch_into_one_file_in_order) {
  for (std::uint64_t batches = 0; batches <= 40; ++batches) {
    for (std::uint32_t files = 1; files <= 45; ++files) {
      const file_layout layout{batches, files};
      const std::uint64_t per = (batches + files - 1) / files;
      std::uint64_t next = 0;
      for (std::uint32_t f = 0; f < files; ++f) {
        ASSERT_EQ(layout.first_batch(f), next);
        ASSERT_EQ(layout.first_batch(f), std::min<std::uint64_t>(batches, f * per));
        ASSERT_LE(layout.batches_in(f), per);
        next += layout.batches_in(f);
      }
      ASSERT_EQ(next, batches) << batches << " batches in " << files << " files";
    }
  }
}

TEST(file_layout, does_not_overflow_at_the_largest_counts) {
  constexpr std::uint64_t most = core::permutation::max_size;
  for (const std::uint32_t files : {1U, 2U, 3U, 4U, 65'536U, ~0U}) {
    const file_layout layout{most, files};
    EXPECT_EQ(layout.first_batch(0), 0U);
    EXPECT_EQ(layout.first_batch(files - 1) + layout.batches_in(files - 1), most) << files;
  }
}

}  // namespace
}  // namespace negpipe
