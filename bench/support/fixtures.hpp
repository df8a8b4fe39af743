// Datasets and indexes of the measured shapes, made once a process and kept.
#pragma once

#include <string_view>

#include "negpipe/dataset.hpp"
#include "negpipe/positives.hpp"

namespace negpipe::bench {

/// A synthetic dataset of a named shape.
const dataset& dataset_of(std::string_view shape);

/// Its index, with bitsets or without.
const positives_index& index_of(std::string_view shape, core::membership form);

/// Cache lines a second that one thread reads at random places of as many bytes, on huge pages: the ceiling of
/// everything that looks up membership. Measured once for each size.
double random_lines_per_second(std::uint64_t bytes);

}  // namespace negpipe::bench
