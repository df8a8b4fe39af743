// JSON lines: one object per line, whose keys are the columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "block_builder.hpp"
#include "ratings_format.hpp"

namespace negpipe::ingest {

/// Parses lines of objects and adds one row per object. Keys are format.names at the columns of format, in any order.
/// null and a missing key are missing values.
void parse_json_rows(const ratings_format& format, std::string_view text, block_builder& out);

/// Reads the keys of the first object to names, and the values of these keys in the first objects to rows. They
/// correspond to the header and the first rows of other tables. Throws input_error if the first line is not an object.
/// Messages start with `where`.
void read_json_beginning(const std::string& where, std::string_view text, std::vector<std::string>& names,
                         std::vector<std::vector<std::string>>& rows);

}  // namespace negpipe::ingest
