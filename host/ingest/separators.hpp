// What separates the fields of a table, and its first rows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fields.hpp"
#include "negpipe/ingest.hpp"

namespace negpipe::ingest {

/// A row's fields, without spaces at their ends. Quotes that are wrong end it.
std::vector<std::string> split(std::string_view row, field_syntax syntax);

/// The first rows of a text, at most max_rows, without line ends; blank lines and those that begin with comment ('\0'
/// for none) are left out.
std::vector<std::string_view> first_rows(std::string_view text, field_syntax syntax, char comment,
                                         std::size_t max_rows = 64);

/// The separator that an option names, or else the one that cuts the first rows best: it makes column names that are
/// known, or the same number of fields in most rows. Throws option_error for an option that is no separator.
field_syntax choose_syntax(std::string_view text, char comment, const table_options& options);

/// Such as "tabs".
std::string name_of(separator by);

}  // namespace negpipe::ingest
