#include "shapes.hpp"

#include <numeric>
#include <random>
#include <vector>

namespace negpipe::bench {

namespace {

// The held-out item of every user is item 0.
dataset finish(dataset_arrays arrays, std::int32_t users, std::int32_t items) {
  arrays.heldout_items.assign(static_cast<std::size_t>(users), 0);
  std::vector<std::int64_t> ids(static_cast<std::size_t>(users));
  std::iota(ids.begin(), ids.end(), 0);
  arrays.user_ids = ids;
  ids.resize(static_cast<std::size_t>(items));
  std::iota(ids.begin(), ids.end(), 0);
  arrays.item_ids = std::move(ids);
  return dataset(std::move(arrays), dataset_origin{.source = "bench"});
}

}  // namespace

dataset dense_dataset(std::int32_t users, std::int32_t items, double density) {
  std::mt19937 generator(1);
  dataset_arrays arrays;
  arrays.user_offsets = {0};
  const auto threshold = static_cast<std::uint32_t>(density * 4294967296.0);
  for (std::int32_t u = 0; u < users; ++u) {
    for (std::int32_t i = 1; i < items; ++i) {
      if (generator() < threshold) arrays.positive_items.push_back(i);
    }
    arrays.user_offsets.push_back(static_cast<std::int64_t>(arrays.positive_items.size()));
  }
  return finish(std::move(arrays), users, items);
}

dataset sparse_dataset(std::int32_t users, std::int32_t items, std::uint64_t positives) {
  std::mt19937 generator(1);
  dataset_arrays arrays;
  arrays.user_offsets = {0};
  arrays.positive_items.reserve(positives);
  for (std::int32_t u = 0; u < users; ++u) {
    const std::uint64_t end = positives * static_cast<std::uint64_t>(u + 1) / static_cast<std::uint64_t>(users);
    const std::uint64_t count = end - arrays.positive_items.size();
    // Steps from 1 to the maximum for which count of them stay within the items: ascending and distinct.
    const std::uint64_t longest = count == 0 ? 1 : static_cast<std::uint64_t>(items - 1) / count;
    std::uint64_t item = 0;
    for (std::uint64_t k = 0; k < count; ++k) {
      item += 1 + generator() % longest;
      arrays.positive_items.push_back(static_cast<std::int32_t>(item));
    }
    arrays.user_offsets.push_back(static_cast<std::int64_t>(arrays.positive_items.size()));
  }
  return finish(std::move(arrays), users, items);
}

}  // namespace negpipe::bench
