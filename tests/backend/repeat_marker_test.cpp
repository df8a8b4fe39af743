// The CPU's duplicate mask equals core's rule, up to the largest id and after any previous row.
#include "repeat_marker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "negpipe/core/duplicate_mask.hpp"

namespace negpipe {
namespace {

constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();

template <typename Item>
std::vector<std::int8_t> by_the_rule(const std::vector<Item>& row) {
  std::vector<std::int8_t> mask;
  for (std::uint32_t column = 0; column < row.size(); ++column) mask.push_back(core::is_repeat(row.data(), column));
  return mask;
}

std::vector<std::int8_t> marked(repeat_marker& mark, const std::vector<std::int32_t>& row) {
  std::vector<std::int8_t> mask(row.size(), 7);
  mark(row, mask.data());
  return mask;
}

// Neighbouring ids that a 24-bit float cannot distinguish, and that share words and bytes of the marker.
const std::vector<std::vector<std::int32_t>>& rows() {
  static const std::vector<std::vector<std::int32_t>> all = {
      {},
      {largest},
      {largest, largest},
      {largest, largest - 1, largest - 2, largest - 1, largest, 0},
      {largest - 63, largest - 64, largest, largest - 64, largest - 65, largest - 63},
      {1 << 24, (1 << 24) + 1, (1 << 24) + 2, 1 << 24, (1 << 24) + 1},
      std::vector<std::int32_t>(300, largest - 7),
      {5, 1, 2, 5, 3, 5},  // the held-out item again among the negatives
      {0, 0, 0, 1, 31, 32, 63, 64, 63, 32, 1},
  };
  return all;
}

TEST(repeat_marker, equals_core_up_to_the_largest_id) {
  repeat_marker mark(largest);
  for (int round = 0; round < 2; ++round) {  // a row must not affect the next one
    for (const auto& row : rows()) EXPECT_EQ(marked(mark, row), by_the_rule(row));
  }
}

TEST(repeat_marker, equals_core_on_random_rows) {
  std::mt19937 generator(3);
  repeat_marker mark(largest);
  for (const std::int32_t range : {2, 10, 100, 5000, largest}) {
    for (const std::size_t length : {1U, 2U, 100U, 1000U}) {
      std::vector<std::int32_t> row(length);
      for (auto& item : row) item = largest - static_cast<std::int32_t>(generator() % static_cast<unsigned>(range));
      EXPECT_EQ(marked(mark, row), by_the_rule(row)) << range << " " << length;
    }
  }
}

using marker = std::vector<std::int8_t> (*)(const std::vector<std::int32_t>& row);

bool is_the_rule(marker mark) {
  return std::ranges::all_of(rows(), [&](const auto& row) { return mark(row) == by_the_rule(row); });
}

TEST(repeat_marker, check_rejects_broken_markers) {
  EXPECT_TRUE(is_the_rule(by_the_rule<std::int32_t>));
  EXPECT_FALSE(is_the_rule([](const std::vector<std::int32_t>& row) {
    return by_the_rule(std::vector<float>(row.begin(), row.end()));
  })) << "ids converted to floating-point keys";
  EXPECT_FALSE(is_the_rule([](const std::vector<std::int32_t>& row) {
    std::vector<std::int8_t> mask(row.size(), 0);
    for (std::size_t i = 1; i < row.size(); ++i) mask[i] = row[i] == row[i - 1];
    return mask;
  })) << "compares only neighbours";
  EXPECT_FALSE(is_the_rule([](const std::vector<std::int32_t>& row) {
    std::vector<std::int8_t> mask;
    for (const std::int32_t item : row) mask.push_back(std::ranges::count(row, item) > 1);
    return mask;
  })) << "marks the first of equal items too";
  EXPECT_FALSE(is_the_rule([](const std::vector<std::int32_t>& row) {
    if (row.empty()) return std::vector<std::int8_t>();
    std::vector<std::int8_t> mask = by_the_rule(std::vector(row.begin() + 1, row.end()));
    mask.insert(mask.begin(), std::int8_t{0});
    return mask;
  })) << "the held-out item in front is not looked at";
}

}  // namespace
}  // namespace negpipe
