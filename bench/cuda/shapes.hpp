// Synthetic datasets of a given density or of exact counts.
#pragma once

#include <cstdint>

#include "negpipe/dataset.hpp"

namespace negpipe::bench {

/// All users have about the given share of the items.
dataset dense_dataset(std::int32_t users, std::int32_t items, double density);

/// Exactly that many positives, spread evenly over users, at random over the lower half of the items.
/// positives < users * items.
dataset sparse_dataset(std::int32_t users, std::int32_t items, std::uint64_t positives);

}  // namespace negpipe::bench
