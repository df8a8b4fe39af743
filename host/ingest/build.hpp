// Datasets from ratings that were read.
#pragma once

#include <cstddef>

#include "negpipe/dataset.hpp"
#include "negpipe/ingest.hpp"
#include "ratings.hpp"
#include "row_spool.hpp"

namespace negpipe::ingest {

/// Number of files or tables of the sets of a given split.
struct part_counts {
  std::size_t training;
  std::size_t validation;
};

/// Makes the dataset.
/// - given: the parts of a given split, or null.
/// - spool: has the rows, unless it is null or empty.
dataset build(ratings&& read, const prepare_options& options, const part_counts* given, const run_control& control,
              prepare_summary* summary, row_spool* spool = nullptr);

}  // namespace negpipe::ingest
