// Rows grouped by user to training positives and held-out items.
#pragma once

#include <cstdint>

#include "negpipe/dataset.hpp"
#include "negpipe/ingest.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"
#include "user_rows.hpp"

namespace negpipe::ingest {

/// Fills user_offsets, positive_items and heldout_items: each user's last row by time is held out, the items of the
/// others, sorted, are the training positives. Every user has at least one row.
///
/// Rows of one user and second stand in the order of the file (tie_order::file), or in that of the 64-bit numbers
/// words 1 and 0 of the Philox block of (seed; tag::ties, cycle 0, index = row, attempt 0) make, row being the row's
/// number, from 0, among all rows that were kept (tie_order::shuffled).
void hold_out_last(const rating_columns& columns, const user_rows& grouped, tie_order ties, std::uint64_t seed,
                   support::thread_pool& pool, dataset_arrays& arrays);

}  // namespace negpipe::ingest
