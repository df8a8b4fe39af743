// Rows of Arrow tables.
#pragma once

#include "arrow_input.hpp"
#include "collector.hpp"
#include "negpipe/run_control.hpp"
#include "row_parser.hpp"
#include "thread_pool.hpp"

namespace negpipe::ingest {

/// How the rows of all tables are read.
struct arrow_reading {
  const ratings_format& format;
  const row_rules& rules;
  id_kind users;
  id_kind items;
};

/// Appends the rows of a table. Columns of integers and times of which no row can be dropped are copied as a whole,
/// other rows are parsed one by one, in parallel: the results are equal. Throws input_error for a row with a missing
/// or wrong value, interrupted_error.
void read_arrow_rows(const arrow_input& table, const arrow_reading& how, support::thread_pool& pool,
                     const run_control& control, collector& all);

}  // namespace negpipe::ingest
