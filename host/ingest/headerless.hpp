// Determines the columns of a table without a header.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ratings_format.hpp"

namespace negpipe::ingest {

/// Sets format.assumed and the columns that no option chose, from the first rows of a table without a header. Known
/// layouts:
/// - user, item
/// - user, item, time
/// - user, item, rating, time (or time, rating)
/// - Gowalla: user, time, latitude, longitude, place
/// - Taobao: user, item, category, behaviour, time
/// Throws input_error for other layouts. Messages start with `where`.
void assume_columns(const std::string& where, const std::vector<std::vector<std::string>>& rows,
                    const prepare_options& options, ratings_format& format);

/// Returns whether each row has only numbers, and another user at its front than those before it.
bool may_be_item_lists(const std::vector<std::vector<std::string>>& rows);

/// Returns the end of a message about rows of one length that may be a user and its items each; empty for others.
std::string_view layout_hint(const std::vector<std::vector<std::string>>& rows);

/// Returns whether a text can be a time: a number or a date.
bool is_time(const std::string& text);

}  // namespace negpipe::ingest
