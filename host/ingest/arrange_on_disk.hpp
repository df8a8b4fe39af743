// The steps of prepare after reading, partition by partition.
#pragma once

#include <cstdint>
#include <filesystem>

#include "negpipe/dataset.hpp"
#include "negpipe/ingest.hpp"
#include "ratings.hpp"
#include "row_spool.hpp"
#include "select_rows.hpp"
#include "thread_pool.hpp"

namespace negpipe::ingest {

/// A repeated pair, with the numbers of its user and item.
struct repeated_pair {
  std::uint64_t row = row_selection::none;  ///< none: there is none
  std::uint64_t earlier = row_selection::none;
  std::int32_t user = 0;
  std::int32_t item = 0;
};

struct disk_arrangement {
  dataset_arrays arrays;  ///< without ids; the positives are in an unnamed file
  renumbering order;      ///< old number of each user and item
  repeated_pair repeat;   ///< the first one; with duplicate_policy::error, arrays and order are empty then
};

/// Selects, renumbers, splits and sorts rows as prepare does in memory: the arrays are the same. The split is
/// leave-one-out, and items are not filtered.
disk_arrangement arrange_on_disk(const row_spool& spool, std::size_t user_count, std::size_t item_count,
                                 const prepare_options& options, const std::filesystem::path& folder,
                                 const run_control& control, prepare_summary& summary);

}  // namespace negpipe::ingest
