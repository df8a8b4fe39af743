// Detects the separator of a table from its first rows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fields.hpp"
#include "negpipe/ingest.hpp"

namespace negpipe::ingest {

/// Returns the fields of a row without surrounding spaces. Stops at wrong quotes.
std::vector<std::string> split(std::string_view row, field_syntax syntax);

/// Returns at most max_rows first rows of a text without line ends. Skips blank lines and those that start with comment
/// ('\0' for none).
std::vector<std::string_view> first_rows(std::string_view text, field_syntax syntax, char comment,
                                         std::size_t max_rows = 64);

/// Returns the separator of the options, or the one with the best split of the first rows: known column names, or the
/// same number of fields in most rows. Throws option_error if the option is not a separator.
field_syntax choose_syntax(std::string_view text, char comment, const table_options& options);

/// Returns a name such as "tabs".
std::string name_of(separator by);

}  // namespace negpipe::ingest
