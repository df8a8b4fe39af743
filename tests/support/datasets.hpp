// Small datasets with edge cases: users with no training positive, one, most, and all but one item.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "negpipe/dataset.hpp"
#include "support/random_rows.hpp"

namespace negpipe::test {

/// Makes a dataset whose user u has rows[u] as training positives (any order) and heldout[u] as held-out item. Raw ids
/// are 10 * u + 1 for users and 100 + i for items.
inline dataset make_dataset(std::vector<std::vector<std::int32_t>> rows, std::vector<std::int32_t> heldout,
                            std::int32_t item_count) {
  dataset_arrays arrays;
  arrays.user_offsets = {0};
  std::vector<std::int64_t> users;
  std::vector<std::int64_t> items;
  for (auto& row : rows) {
    std::sort(row.begin(), row.end());
    arrays.positive_items.insert(arrays.positive_items.end(), row.begin(), row.end());
    arrays.user_offsets.push_back(static_cast<std::int64_t>(arrays.positive_items.size()));
    users.push_back(10 * static_cast<std::int64_t>(users.size()) + 1);
  }
  for (std::int32_t i = 0; i < item_count; ++i) items.push_back(100 + i);
  arrays.heldout_items = std::move(heldout);
  arrays.user_ids = std::move(users);
  arrays.item_ids = std::move(items);
  return dataset(std::move(arrays), dataset_origin{.source = "test"});
}

/// Makes four users with test and validation items, of 12 items. User 1 has no test item, user 2 no validation item.
/// items_left by the test set: 7, none evaluated, 9, 1.
inline dataset dataset_with_validation() {
  dataset_arrays arrays;
  arrays.user_offsets = {0, 3, 4, 6, 15};
  arrays.positive_items = {0, 4, 8, 3, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  arrays.heldout_items = {9, 5, 10};
  arrays.test_offsets = {0, 1, 1, 2, 3};
  arrays.validation_items = {11, 7, 9};
  arrays.validation_offsets = {0, 1, 2, 2, 3};
  arrays.user_ids = std::vector<std::int64_t>{1, 11, 21, 31};
  arrays.item_ids = std::vector<std::int64_t>{100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111};
  return dataset(std::move(arrays), dataset_origin{.source = "test"});
}

/// Makes users with the given numbers of training positives, drawn with a fixed seed, and one more item held out.
inline dataset random_dataset(const std::vector<std::int32_t>& degrees, std::int32_t item_count, unsigned seed) {
  random_rows drawn(degrees, item_count, seed);
  return make_dataset(std::move(drawn.rows), std::move(drawn.heldout), item_count);
}

/// Makes users with 0, 1, 20, a third, half, all but two and all but one of the items.
inline dataset edge_dataset(std::int32_t item_count = 97, unsigned seed = 7) {
  return random_dataset({0, 1, 20, 0, item_count / 3, item_count / 2, item_count - 2, item_count - 1, 5}, item_count,
                        seed);
}

}  // namespace negpipe::test
