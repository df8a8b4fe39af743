// The steps of prepare after reading, in memory.
#pragma once

#include <cstdint>
#include <string_view>

#include "negpipe/dataset.hpp"
#include "negpipe/ingest.hpp"
#include "ratings.hpp"
#include "select_rows.hpp"
#include "split_rows.hpp"

namespace negpipe::ingest {

/// The stage of progress to which arrange() and the checks after it belong. The third step is that of the checks.
inline constexpr std::string_view building_stage = "building the dataset";
inline constexpr std::uint64_t building_steps = 3;

struct arrangement {
  dataset_arrays arrays;  ///< without ids
  renumbering order;      ///< old number of each user and item
};

/// Drops repeated rows, users and items with too few rows, and held-out rows of unknown ones. Renumbers users and items
/// by first appearance in the rest, splits and sorts. Throws input_error. Moves the columns out of the ratings.
/// - split: the split, unless it is one within each user (options.split).
arrangement arrange(ratings& read, const prepare_options& options, const common_split* split,
                    const run_control& control, prepare_summary& summary);

/// A repeated pair, with the numbers of its user and item.
struct repeated_pair {
  std::uint64_t row = row_selection::none;  ///< none: there is none
  std::uint64_t earlier = row_selection::none;
  std::int32_t user = 0;
  std::int32_t item = 0;
};

/// Throws input_error for a repeated pair.
[[noreturn]] void refuse_repeat(const ratings& read, const repeated_pair& repeat);

}  // namespace negpipe::ingest
