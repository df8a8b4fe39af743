// Datasets and indexes of the measured shapes, built once per process.
#pragma once

#include <string_view>

#include "negpipe/dataset.hpp"
#include "negpipe/positives.hpp"

namespace negpipe::bench {

/// A synthetic dataset of a named shape.
const dataset& dataset_of(std::string_view shape);

/// Its index, with bitsets or without.
const positives_index& index_of(std::string_view shape, core::membership form);

/// Cache lines per second that one thread reads at random offsets in the given number of bytes, on huge pages: the
/// ceiling of every membership look-up. Measured once per size.
double random_lines_per_second(std::uint64_t bytes);

}  // namespace negpipe::bench
