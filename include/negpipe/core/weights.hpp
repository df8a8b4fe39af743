// Exact draws in proportion to integer weights: Walker's alias method ("An efficient method for generating discrete
// random variables", ACM TOMS 1977) with integer cutoffs, so that no rounding enters a probability.
//
// - The 2^32 values of a random word are shared out: item i owns floor(2^32 / W) * weight(i) of them, W the sum of all
//   weights. Fewer than W values belong to no item; such a word is rejected, which costs an attempt.
// - Columns of equal width, a power of two, divide the words. A column belongs to at most two items: words below the
//   cutoff to the item of the column's number, the others to its alias. So a draw takes one word and one read.
// - Weighted ranks: draws that reach the fallback take a mass in [0, W - W_u), W_u the weights of the user's positives,
//   and search the item that covers it outside the positives.
#pragma once

#include <cstdint>

#include "negpipe/core/csr.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/ids.hpp"

namespace negpipe::core {

/// One column of the alias table, aligned to be read at once. A column that belongs to one item has that item as alias.
struct alignas(8) alias_column {
  std::uint32_t cutoff;  ///< words of the column below it belong to the item of the column's number
  std::uint32_t alias;   ///< the other words' item; item_count: rejected
};

/// The items outside a row by weight. Masses are sums of weights, below 2^32.
struct weighted_outside {
  item_row row;
  const std::uint32_t* row_sums;     ///< [row.count]: weights of the row's items up to and including each
  const std::uint32_t* weight_sums; ///< [item_count + 1]: weights of all items below each
  std::uint32_t item_count;

  /// Returns the weights of the first `count` items of the row.
  NEGPIPE_HD std::uint32_t row_mass(std::uint32_t count) const { return count == 0 ? 0 : row_sums[count - 1]; }
  /// Returns the mass of all items outside the row.
  NEGPIPE_HD std::uint32_t mass() const { return weight_sums[item_count] - row_mass(row.count); }
  NEGPIPE_HD std::uint32_t mass_of(std::int32_t item) const { return weight_sums[item + 1] - weight_sums[item]; }
  /// Returns the mass of the items outside the row that are below the given one.
  NEGPIPE_HD std::uint32_t mass_below(std::int32_t item) const {
    return weight_sums[item] - row_mass(row.count_below(item));
  }

  /// Returns the item that covers a mass, mass < mass(): the one with mass_below(item) <= mass, the last such.
  NEGPIPE_HD std::int32_t item_at(std::uint32_t mass) const {
    std::uint32_t low = 0;  // items of the row with at most so much mass below them
    for (std::uint32_t length = row.count; length != 0;) {
      const std::uint32_t half = length / 2;
      if (weight_sums[row.items[low + half]] - row_mass(low + half) <= mass) {
        low += half + 1;
        length -= half + 1;
      } else {
        length = half;
      }
    }
    // The item lies between these two items of the row.
    const std::uint32_t begin = low == 0 ? 0 : static_cast<std::uint32_t>(row.items[low - 1]) + 1;
    const std::uint32_t end = low == row.count ? item_count : static_cast<std::uint32_t>(row.items[low]);
    return last_item_at(mass + row_mass(low), begin, end - begin);
  }

 private:
  // Returns the last of the items [low, low + length) with at most so much weight below it. The first has no more.
  NEGPIPE_HD std::int32_t last_item_at(std::uint32_t sum, std::uint32_t low, std::uint32_t length) const {
    while (length > 1) {
      const std::uint32_t half = length / 2;
      if (weight_sums[low + half] <= sum) low += half;
      length -= half;
    }
    return static_cast<std::int32_t>(low);
  }
};

/// Draws items by weight. Non-owning, trivially copyable; made by negpipe::dataset_weights. An item draw for
/// draw_negative. Zeros mean that there are no weights.
struct weighted_draw {
  const alias_column* columns;       ///< [2^(32 - shift)], more than item_count
  const std::uint32_t* weight_sums;  ///< [item_count + 1]
  const std::uint32_t* row_sums;     ///< [positive_count]: see weighted_outside
  std::uint32_t item_count;
  std::uint32_t shift;               ///< 1 to 31: a word's column is its upper 32 - shift bits

  NEGPIPE_HD constexpr bool is_set() const { return columns != nullptr; }

  /// Returns whether the word is accepted. value receives the item; item_count if the word is rejected.
  NEGPIPE_HD bool operator()(std::uint32_t word, std::uint32_t& value) const {
    const std::uint32_t column = word >> shift;
    const alias_column at = columns[column];
    value = word < at.cutoff ? column : at.alias;
    return value < item_count;
  }
};

template <typename Positives>
NEGPIPE_HD weighted_outside items_outside(const Positives& positives, user_id user, const weighted_draw& draw) {
  return {positives.csr.row(user), draw.row_sums + positives.csr.row_start(user), draw.weight_sums, draw.item_count};
}

}  // namespace negpipe::core
