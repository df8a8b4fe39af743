// Which column is what in a table that does not name its columns.
#pragma once

#include <string>
#include <vector>

#include "ratings_format.hpp"

namespace negpipe::ingest {

/// Sets the columns of a format that no option chose, from the first rows of a table without a header, and what was
/// assumed. Known layouts: user, item; user, item, time; user, item, rating, time (or time, rating); Gowalla's user,
/// time, latitude, longitude, place; Taobao's user, item, category, behaviour, time. `where` begins messages. Throws
/// input_error for other layouts.
void assume_columns(const std::string& where, const std::vector<std::vector<std::string>>& rows,
                    const prepare_options& options, ratings_format& format);

/// Whether a text is a number or a date, as times are written.
bool is_time(const std::string& text);

}  // namespace negpipe::ingest
