// The steps of prepare after reading, partition by partition.
#pragma once

#include "arrange.hpp"
#include "row_spool.hpp"

namespace negpipe::ingest {

/// arrange() for rows in a spool: the arrays are the same, and the training positives are in an unnamed file. Reads the
/// spool once, and again for ties in pseudo-random order, each round of a filter of items, and unknown rows. Frees its
/// space.
arrangement arrange_on_disk(const ratings& read, row_spool& spool, const prepare_options& options,
                            const common_split* split, const run_control& control, prepare_summary& summary);

}  // namespace negpipe::ingest
