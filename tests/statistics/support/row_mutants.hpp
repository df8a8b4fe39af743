// Deliberately broken evaluation rows, each with a defect found in real ones. A statistical test must reject each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "negpipe/core/evaluation.hpp"
#include "statistics/support/mutants.hpp"

namespace negpipe::test::mutants {

/// Returns the items of a user's row.
using row_sampler = std::vector<std::int32_t> (*)(const core::positives_view&, user_id, std::uint32_t negatives,
                                                  std::uint64_t seed);

/// The core's rows, unbroken.
inline std::vector<std::int32_t> real_row(const core::positives_view& view, user_id user, std::uint32_t negatives,
                                          std::uint64_t seed) {
  const auto row = core::evaluation_row::make(view, user, core::philox_source{seed});
  std::vector<std::int32_t> items;
  for (std::uint32_t j = 0; j < negatives; ++j) items.push_back(row.negative(j));
  return items;
}

/// Draws too many, sorts, drops repeats and keeps the first: small ids are more likely.
inline std::vector<std::int32_t> sort_unique_truncate(const core::positives_view& view, user_id user,
                                                      std::uint32_t negatives, std::uint64_t seed) {
  std::vector<std::int32_t> items;
  for (std::uint64_t drawn = 0; items.size() < negatives;) {
    while (items.size() < negatives + negatives / 4 + 1) {
      const std::int32_t item = real_negative(view, user, seed, static_cast<std::uint32_t>(index(user)), drawn++);
      if (item != view.heldout[index(user)]) items.push_back(item);
    }
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
  }
  items.resize(negatives);
  return items;
}

/// One permutation for all users, shifted by the user's id.
inline std::vector<std::int32_t> one_permutation_shifted(const core::positives_view& view, user_id user,
                                                         std::uint32_t negatives, std::uint64_t seed) {
  const auto first = core::evaluation_row::make(view, user_id{0}, core::philox_source{seed});
  const auto row = core::evaluation_row::make(view, user, core::philox_source{seed});
  std::vector<std::int32_t> items;
  for (std::uint32_t j = 0; j < negatives; ++j) {
    const std::uint64_t rank = (first.order(j) + static_cast<std::uint64_t>(index(user))) % row.order.size;
    items.push_back(row.item_of_rank(static_cast<std::uint32_t>(rank)));
  }
  return items;
}

/// Ascending ranks from a random start: distinct and each uniform, but not a random subset.
inline std::vector<std::int32_t> consecutive_ranks(const core::positives_view& view, user_id user,
                                                   std::uint32_t negatives, std::uint64_t seed) {
  const auto row = core::evaluation_row::make(view, user, core::philox_source{seed});
  const std::uint64_t start = row.order(0);
  std::vector<std::int32_t> items;
  for (std::uint32_t j = 0; j < negatives; ++j) {
    items.push_back(row.item_of_rank(static_cast<std::uint32_t>((start + j) % row.order.size)));
  }
  return items;
}

/// Ranks a stride apart from a random start: passes tests of neighbouring ranks, but is not a random subset.
inline std::vector<std::int32_t> strided_ranks(const core::positives_view& view, user_id user, std::uint32_t negatives,
                                               std::uint64_t seed) {
  constexpr std::uint64_t stride = 7;
  const auto row = core::evaluation_row::make(view, user, core::philox_source{seed});
  const std::uint64_t start = row.order(0);
  std::vector<std::int32_t> items;
  for (std::uint32_t j = 0; j < negatives; ++j) {
    items.push_back(row.item_of_rank(static_cast<std::uint32_t>((start + stride * j) % row.order.size)));
  }
  return items;
}

}  // namespace negpipe::test::mutants
