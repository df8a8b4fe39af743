// Random training positives with one more item held out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

namespace negpipe::test {

struct random_rows {
  /// Draws degrees[u] items for each user u, and one more that is held out. degrees[u] < item_count.
  random_rows(const std::vector<std::int32_t>& degrees, std::int32_t item_count, unsigned seed) {
    std::mt19937 generator(seed);
    std::vector<std::int32_t> items(static_cast<std::size_t>(item_count));
    std::iota(items.begin(), items.end(), 0);
    for (const std::int32_t degree : degrees) {
      std::shuffle(items.begin(), items.end(), generator);
      rows.emplace_back(items.begin(), items.begin() + degree);
      heldout.push_back(items[static_cast<std::size_t>(degree)]);
    }
  }

  std::vector<std::vector<std::int32_t>> rows;
  std::vector<std::int32_t> heldout;
};

}  // namespace negpipe::test
