// The arrays of one record, as ready.json describes them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "example_encoder.hpp"

namespace negpipe::record {

/// Returns the arrays of a record's payload, in the order of columns. They are views of the payload.
/// Throws format_error for a feature that is missing, has another size, or is not among the columns.
std::vector<std::span<const std::byte>> batch_columns(std::span<const std::byte> payload,
                                                      std::span<const column_spec> columns);

}  // namespace negpipe::record
