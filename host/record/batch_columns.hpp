// The arrays of one record, as ready.json describes them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "example_encoder.hpp"

namespace negpipe::record {

/// The arrays in a record's payload, in the order of the columns. The views point into the payload. Throws format_error
/// (which feature, what was found and wanted) for a feature that is missing, of another size, or not among the columns.
std::vector<std::span<const std::byte>> batch_columns(std::span<const std::byte> payload,
                                                      std::span<const column_spec> columns);

}  // namespace negpipe::record
