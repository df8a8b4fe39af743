// The CPU's duplicate mask is the rule of core, for ids up to the largest there is and whatever row came before.
#include "repeat_marker.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

#include "negpipe/core/duplicate_mask.hpp"

namespace negpipe {
namespace {

constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();

std::vector<std::int8_t> by_the_rule(const std::vector<std::int32_t>& row) {
  std::vector<std::int8_t> mask;
  for (std::uint32_t column = 0; column < row.size(); ++column) mask.push_back(core::is_repeat(row.data(), column));
  return mask;
}

std::vector<std::int8_t> marked(repeat_marker& mark, const std::vector<std::int32_t>& row) {
  std::vector<std::int8_t> mask(row.size(), 7);
  mark(row, mask.data());
  return mask;
}

TEST(RepeatMarker, IsTheRuleUpToTheLargestId) {
  // Neighbours here are one number to a float of 24 bits, and share words and bytes of the marker.
  const std::vector<std::vector<std::int32_t>> rows = {
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
  repeat_marker mark(largest);
  for (int round = 0; round < 2; ++round) {  // a row leaves nothing behind for the next
    for (const auto& row : rows) EXPECT_EQ(marked(mark, row), by_the_rule(row));
  }
}

TEST(RepeatMarker, IsTheRuleOnRandomRows) {
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

// The mutant: ids that were floating-point keys on their way.
TEST(RepeatMarker, SuchRowsTellItFromOneThatRoundsIds) {
  std::vector<std::int32_t> row = {1 << 24, (1 << 24) + 1};
  const auto wanted = by_the_rule(row);
  for (auto& item : row) item = static_cast<std::int32_t>(static_cast<float>(item));
  repeat_marker mark(largest);
  EXPECT_NE(marked(mark, row), wanted);
}

}  // namespace
}  // namespace negpipe
