// Synthetic datasets of a given density or of exact counts.
#pragma once

#include <cstdint>

#include "negpipe/dataset.hpp"

namespace negpipe::bench {

/// Users who all have about the given share of the items.
dataset dense_dataset(std::int32_t users, std::int32_t items, double density);

/// Exactly so many positives, spread evenly over users, each row over the lower half of the items at random.
/// positives < users * items.
dataset sparse_dataset(std::int32_t users, std::int32_t items, std::uint64_t positives);

}  // namespace negpipe::bench
