// Finds columns by common names.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::ingest {

enum class column_role : unsigned char { user, item, time, rating };

std::string_view name_of(column_role role);

/// Returns a column's name without surrounding spaces and without the type suffix of RecBole's atomic files (":token").
std::string clean_name(std::string_view name);

/// Returns the column whose name is known for a role, if there is one.
/// - Names are compared without case, "_", "-", "." and spaces.
/// - Common names (user_id) take precedence over those of one domain (customer_id, movieId).
/// Throws input_error if two columns rank equally. Messages start with `where`.
std::optional<std::size_t> find_column(const std::string& where, const std::vector<std::string>& names,
                                       column_role role);

/// Returns the column that a choice names: exactly, in any case, or by its 1-based number. names is empty for a table
/// without a header. Throws input_error if there is no such column, or more than one. Messages start with `where`.
std::size_t chosen_column(const std::string& where, const std::vector<std::string>& names, std::size_t column_count,
                          column_role role, const std::string& choice);

/// Returns whether a choice is the name of a column. A number is not a name.
bool names_column(const std::vector<std::string>& names, const std::string& choice);

}  // namespace negpipe::ingest
