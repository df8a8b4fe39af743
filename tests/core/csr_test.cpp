// CSR rows against plain loops: contains, count_below, kth_absent, the user of a positive, membership in every form.
#include "negpipe/core/csr.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "negpipe/core/duplicate_mask.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::core {
namespace {

using test::positives_owner;

std::vector<positives_owner> edge_datasets() {
  std::vector<positives_owner> all;
  for (const std::int32_t items : {41, 64, 65, 97, 1000}) {
    all.push_back(test::random_positives(test::edge_degrees(items), items, static_cast<unsigned>(items)));
  }
  all.push_back(test::random_positives({1}, 2, 1));
  all.push_back(test::random_positives({0, 0, 1}, 2, 2));
  all.push_back(test::random_positives({1, 0, 0}, 2, 3));
  // Runs of empty users longer than the distance between two samples, and rows longer than it.
  std::vector<std::int32_t> degrees(500, 0);
  degrees[0] = 33;
  degrees[200] = 1;
  degrees[201] = 64;
  degrees[499] = 32;
  all.push_back(test::random_positives(degrees, 100, 4));
  all.push_back(test::random_positives(std::vector<std::int32_t>(1000, 1), 100, 5));
  return all;
}

TEST(csr, ranks_and_absent_items_equal_a_plain_loop) {
  for (const positives_owner& data : edge_datasets()) {
    const auto view = data.view();
    for (std::int32_t u = 0; u < view.user_count; ++u) {
      const item_row row = view.csr.row(user_id{u});
      std::uint32_t below = 0;
      std::uint32_t outside = 0;
      for (std::int32_t item = 0; item < view.item_count; ++item) {
        ASSERT_EQ(row.count_below(item), below);
        const bool inside = std::find(row.items, row.items + row.count, item) != row.items + row.count;
        ASSERT_EQ(row.contains(item), inside);
        if (!inside) {
          ASSERT_EQ(row.kth_absent(outside), item) << "user " << u << ", rank " << outside;
          ++outside;
        }
        below += inside;
      }
      ASSERT_EQ(outside, static_cast<std::uint32_t>(view.item_count) - row.count);
    }
  }
}

TEST(csr, works_up_to_the_largest_item_id) {
  const std::int32_t last = 0x7FFFFFFF;
  const std::int32_t items[] = {0, last - 1};
  const item_row row{items, 2};
  EXPECT_EQ(row.kth_absent(0), 1);
  EXPECT_EQ(row.kth_absent(static_cast<std::uint32_t>(last) - 3), last - 2);
  EXPECT_EQ(row.kth_absent(static_cast<std::uint32_t>(last) - 2), last);
  EXPECT_EQ(row.count_below(last), 2U);
  EXPECT_FALSE(row.contains(last));
}

TEST(csr, finds_the_user_of_every_positive) {
  for (const positives_owner& data : edge_datasets()) {
    ASSERT_EQ(data.samples().size(), csr_view::sample_count(data.positive_count()));
    for (std::uint64_t p = 0; p < data.positive_count(); ++p) {
      ASSERT_EQ(index(data.view().csr.user_of(p)), data.users()[p]) << "positive " << p;
    }
  }
}

TEST(positives, all_forms_give_the_same_answer) {
  for (const positives_owner& data : edge_datasets()) {
    const auto bits = data.view(membership::bitset);
    const auto search = data.view(membership::sorted_search);
    const auto filter = data.view(membership::bloom_filter);
    for (std::int32_t u = 0; u < bits.user_count; ++u) {
      for (std::int32_t item = 0; item < bits.item_count; ++item) {
        ASSERT_EQ(bits.contains(user_id{u}, item), search.contains(user_id{u}, item));
        ASSERT_EQ(bits.contains(user_id{u}, item), filter.contains(user_id{u}, item));
      }
    }
  }
}

TEST(duplicate_mask, marks_items_that_occurred_earlier_in_the_row) {
  const std::int32_t big = 0x7FFFFFFF;
  const std::vector<std::vector<std::int32_t>> rows = {
      {5}, {5, 5, 5, 5}, {big, big - 1, big, 0, big - 1}, {16777216, 16777217, 16777216}, {3, 1, 2, 3}};
  const std::vector<std::vector<int>> masks = {{0}, {0, 1, 1, 1}, {0, 0, 1, 0, 1}, {0, 0, 1}, {0, 0, 0, 1}};
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::uint32_t column = 0; column < rows[r].size(); ++column) {
      EXPECT_EQ(is_repeat(rows[r].data(), column), masks[r][column]) << "row " << r << ", column " << column;
    }
  }
}

}  // namespace
}  // namespace negpipe::core
