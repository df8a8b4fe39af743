// The queue of fills of the CUDA backend: the device writes into page-locked columns while the host works.
#pragma once

#include <memory>

#include "device_part.hpp"
#include "negpipe/column_checks.hpp"
#include "negpipe/fill_queue.hpp"

namespace negpipe::cuda {

/// Makes a queue on one device, which must outlive it. Columns are checked against the counts of the dataset. Throws
/// backend_error.
std::unique_ptr<fill_queue> make_fill_queue(const device_part& part, const dataset_counts& counts,
                                            unsigned block_size);

}  // namespace negpipe::cuda
