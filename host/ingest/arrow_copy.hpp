// Copies whole columns of integers and times from Arrow tables.
#pragma once

#include "arrow_rows.hpp"

namespace negpipe::ingest {

/// Returns whether copy_columns() can read a table: ids are integers, times integers or timestamps, none is null, and
/// no rule can drop a row. Reads the validity bitmaps.
bool can_copy_columns(const arrow_input& table, const arrow_reading& how);

/// Appends the rows of such a table to the ratings. Ids are numbered by a table instead of a hash where their range
/// is not much larger than their number. One thread for each column.
void copy_columns(const arrow_input& table, support::thread_pool& pool, const run_control& control, ratings& all);

}  // namespace negpipe::ingest
