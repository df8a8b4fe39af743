// Splits the rows of each user into training positives and the held-out item.
#pragma once

#include <cstdint>
#include <vector>

#include "negpipe/dataset.hpp"
#include "negpipe/ingest.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"
#include "user_rows.hpp"

namespace negpipe::ingest {

/// Fills user_offsets, positive_items and heldout_items. The last row of each user by time is held out; the items of
/// the others, sorted, are the training positives. Every user must have at least one row.
///
/// Order of rows of one user with equal times:
/// - tie_order::file: the order of the file.
/// - tie_order::shuffled: the order of 64-bit numbers, words 1 and 0 of the Philox block of (seed; tag::ties, cycle 0,
///   index = row, attempt 0). row is the 0-based number of the row among all kept rows.
void hold_out_last(const rating_columns& columns, const user_rows& grouped, tie_order ties, std::uint64_t seed,
                   support::thread_pool& pool, dataset_arrays& arrays);

/// Sorts rows of one user by time. Rows with equal times are ordered as for hold_out_last().
void sort_by_time(const rating_columns& columns, tie_order ties, std::uint64_t seed, std::vector<std::uint64_t>& rows);

}  // namespace negpipe::ingest
