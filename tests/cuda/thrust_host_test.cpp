// The Thrust steps on Thrust's own host system, compiled by the plain C++ compiler, without CUDA.
#include <gtest/gtest.h>
#include <thrust/execution_policy.h>

#include <algorithm>
#include <random>
#include <vector>

#include "negpipe/positives.hpp"
#include "sort_positives.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

TEST(thrust_on_the_host, rows_of_shuffled_columns_equal_the_dataset) {
  const dataset data = random_dataset({0, 3, 700, 1, 0, 999, 40}, 1000, 3);
  const positives_index index(data, 0);
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
  for (std::uint64_t p = 0; p < data.positive_count(); ++p) {
    pairs.emplace_back(negpipe::index(index.view().csr.user_of(p)), data.positive_items()[p]);
    if (p % 5 == 0) pairs.push_back(pairs.back());
  }
  for (std::int32_t u = 0; u < data.user_count(); ++u) {
    pairs.emplace_back(u, data.heldout_items()[static_cast<std::size_t>(u)]);
  }
  std::shuffle(pairs.begin(), pairs.end(), std::mt19937(9));
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  for (const auto& [user, item] : pairs) {
    users.push_back(user);
    items.push_back(item);
  }

  std::vector<std::uint64_t> keys(users.size());
  const std::size_t count = cuda::sort_pairs(thrust::device, users.data(), items.data(), users.size(),
                                              data.heldout_items().data(), keys.data());
  ASSERT_EQ(count, data.positive_count());
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(data.user_count()) + 1);
  std::vector<std::int32_t> row_items(count);
  cuda::write_rows(thrust::device, keys.data(), count, data.user_count(), offsets.data(), row_items.data());
  EXPECT_TRUE(std::equal(offsets.begin(), offsets.end(), data.user_offsets().begin(), data.user_offsets().end()));
  EXPECT_TRUE(std::equal(row_items.begin(), row_items.end(), data.positive_items().begin(),
                         data.positive_items().end()));
}

}  // namespace
}  // namespace negpipe::test
