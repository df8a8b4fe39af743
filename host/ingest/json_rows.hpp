// JSON lines: an object a line, whose keys are the columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "block_builder.hpp"
#include "ratings_format.hpp"

namespace negpipe::ingest {

/// Parses lines of objects into the builder. The keys of format.names at its columns are looked for in each object, in
/// any order; null and a missing key are missing values.
void parse_json_rows(const ratings_format& format, std::string_view text, block_builder& out);

/// The keys of the first object, and the values of these keys in the first objects: what a header and the first rows
/// are to other tables. Throws input_error, beginning with `where`, if the first line is no object.
void read_json_beginning(const std::string& where, std::string_view text, std::vector<std::string>& names,
                         std::vector<std::vector<std::string>>& rows);

}  // namespace negpipe::ingest
