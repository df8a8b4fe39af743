// Draws again the elements of a row that it may not have: excluded items, and repeats in a row of distinct items.
//
// core/free_draw.hpp defines what comes instead. It searches the taken items one by one. Here they are in a hash set,
// and for stage 3 in sorted arrays, so that long rows are not slow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "negpipe/core/free_draw.hpp"
#include "negpipe/core/philox.hpp"
#include "seen_items.hpp"

namespace negpipe {

/// The masses of a row's taken items, in the order of the items. Filled when stage 3 needs it.
class taken_masses {
 public:
  void clear() {
    excluded_count_ = drawn_count_ = 0;
    items_.clear();
    below_.clear();
    sums_.clear();
  }

  /// Adds the items of `taken` that were not there in the last call of the row.
  template <typename Outside>
  void update(const Outside& outside, const core::taken_items& taken) {
    while (excluded_count_ < taken.excluded_count) add(outside, taken.excluded[excluded_count_++]);
    while (drawn_count_ < taken.drawn_count) add(outside, taken.drawn[drawn_count_++]);
  }

  /// Returns the mass of the items with at most so much mass below them: core::taken_items::mass.
  std::uint32_t up_to(std::uint32_t limit) const {
    const auto count = std::ranges::upper_bound(below_, limit) - below_.begin();
    return count == 0 ? 0 : sums_[static_cast<std::size_t>(count) - 1];
  }

 private:
  template <typename Outside>
  void add(const Outside& outside, std::int32_t item) {
    if (item < 0 || outside.row.contains(item)) return;
    const auto at = std::ranges::lower_bound(items_, item) - items_.begin();
    if (at != std::ssize(items_) && items_[static_cast<std::size_t>(at)] == item) return;
    const std::uint32_t mass = outside.mass_of(item);
    items_.insert(items_.begin() + at, item);
    below_.insert(below_.begin() + at, outside.mass_below(item));
    sums_.insert(sums_.begin() + at, at == 0 ? 0 : sums_[static_cast<std::size_t>(at) - 1]);
    std::for_each(sums_.begin() + at, sums_.end(), [mass](std::uint32_t& sum) { sum += mass; });
  }

  std::uint32_t excluded_count_ = 0;  // items of the row's rules that are counted
  std::uint32_t drawn_count_ = 0;     // and of the row
  std::vector<std::int32_t> items_;   // ascending
  std::vector<std::uint32_t> below_;  // mass below each, ascending
  std::vector<std::uint32_t> sums_;   // of the masses up to and including each
};

/// What a row may not have beside the user's positives.
struct row_rules {
  std::span<const std::int32_t> excluded;  ///< in any order; may hold repeats, positives and negative numbers
  bool distinct = false;                   ///< no item twice
};

/// Repairs one row after another. Not thread-safe.
class row_repairer {
 public:
  /// capacity: excluded items and, where rows are distinct, elements of a row.
  row_repairer(std::uint64_t capacity, std::uint64_t seed) : seen_(capacity), source_{seed} {}

  /// Replaces the elements of a row that the rules forbid. The row has the plain draws of elements first_element,
  /// first_element + 1, ... of a stream. Returns the number of elements until nothing was left to draw.
  template <typename Positives, typename ItemDraw>
  std::uint32_t operator()(const Positives& positives, user_id user, const ItemDraw& item_draw,
                           const core::free_stream& stream, std::uint64_t first_element, const row_rules& rules,
                           std::span<std::int32_t> row) {
    seen_.clear();
    masses_.clear();
    for (const std::int32_t item : rules.excluded) seen_.insert(item);
    const auto excluded_count = static_cast<std::uint32_t>(rules.excluded.size());
    for (std::uint32_t k = 0; k < row.size(); ++k) {
      const bool is_taken = rules.distinct ? !seen_.insert(row[k]) : seen_.contains(row[k]);
      if (!is_taken) continue;
      const core::taken_items items{rules.excluded.data(), excluded_count, row.data(), rules.distinct ? k : 0};
      row[k] = core::draw_free(positives, user, item_draw, stream, first_element + k, taken{*this, items}, source_);
      if (row[k] == core::no_item) return k;
      if (rules.distinct) seen_.insert(row[k]);
    }
    return static_cast<std::uint32_t>(row.size());
  }

 private:
  /// Answers as core::taken_items.
  struct taken {
    row_repairer& own;
    const core::taken_items& items;

    bool contains(std::int32_t item) const { return own.seen_.contains(item); }

    template <typename Outside>
    std::uint32_t mass(const Outside& outside, std::uint32_t limit) const {
      own.masses_.update(outside, items);
      return own.masses_.up_to(limit);
    }
  };

  seen_items seen_;
  taken_masses masses_;
  core::philox_source source_;
};

}  // namespace negpipe
