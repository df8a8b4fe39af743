// Datasets and indexes of the measured shapes, built once per process.
#pragma once

#include <string_view>

#include "negpipe/dataset.hpp"
#include "negpipe/positives.hpp"

namespace negpipe::bench {

/// Returns the synthetic dataset of a named shape.
const dataset& dataset_of(std::string_view shape);

/// Returns its index.
const positives_index& index_of(std::string_view shape, core::membership form);

/// Returns the cache lines per second that one thread reads at random offsets in the given number of bytes, on huge
/// pages: the ceiling of membership lookups. Measured once per size.
double random_lines_per_second(std::uint64_t bytes);

}  // namespace negpipe::bench
