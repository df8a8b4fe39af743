// What a program of somebody else's does with the library, by its public headers: a dataset in memory, a plan, a batch.
#include <cstdint>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "negpipe/negpipe.hpp"

namespace {

// Four users; user u has the training positives 0 .. u and holds out item u + 1.
negpipe::dataset make_dataset() {
  negpipe::dataset_arrays arrays;
  arrays.user_offsets = {0, 1, 3, 6, 10};
  arrays.positive_items = {0, 0, 1, 0, 1, 2, 0, 1, 2, 3};
  arrays.heldout_items = {1, 2, 3, 4};
  arrays.user_ids = std::vector<std::int64_t>{11, 12, 13, 14};
  std::vector<std::int64_t> items(50);
  std::iota(items.begin(), items.end(), 100);
  arrays.item_ids = std::move(items);
  return {std::move(arrays), negpipe::dataset_origin{.source = "consumer"}};
}

}  // namespace

int main() try {
  const negpipe::dataset data = make_dataset();
  const negpipe::positives_index index(data);
  const auto backend = negpipe::make_cpu_backend(index, 1);
  const auto plan = negpipe::plan_training(data, {.seed = 42, .negatives = 4, .batch_size = 10});

  const std::uint64_t count = plan.point_count;
  std::vector<std::int32_t> users(count);
  std::vector<std::uint16_t> items(count);
  std::vector<std::int8_t> labels(count);
  backend->fill_training(plan, negpipe::make_cycle_key(plan, 0), 0, count,
                         {users, items, labels, {}});
  for (std::uint64_t i = 0; i < count; ++i) {
    std::cout << data.user_ids().to_string(static_cast<std::size_t>(users[i])) << ' '
              << data.item_ids().to_string(items[i]) << ' ' << int{labels[i]} << '\n';
  }

  const auto positives = std::accumulate(labels.begin(), labels.end(), std::uint64_t{0});
  if (count != data.positive_count() * 5 || positives != data.positive_count()) {
    std::cerr << "expected " << data.positive_count() << " positives among five times as many points, found "
              << positives << " among " << count << '\n';
    return 1;
  }
  return 0;
} catch (const negpipe::error& problem) {
  std::cerr << problem.what() << '\n';
  return 1;
}
