// Which column is what, by the names in use.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::ingest {

enum class column_role : unsigned char { user, item, time, rating };

std::string_view name_of(column_role role);

/// A column's name without spaces around it and without the type that RecBole's atomic files append (":token").
std::string clean_name(std::string_view name);

/// The column that is known by its name to play a role: names are compared without regard to case, "_", "-", "." and
/// spaces. Common names (user_id) go before those of one domain (customer_id, movieId). Nothing if there is none.
/// Throws input_error, beginning with `where`, if two are equally good.
std::optional<std::size_t> find_column(const std::string& where, const std::vector<std::string>& names,
                                       column_role role);

/// The column that a choice names: exactly, then in any case, or by its number from 1. Throws input_error, beginning
/// with `where`, if there is no such column or there are two. names is empty for a table without a header.
std::size_t chosen_column(const std::string& where, const std::vector<std::string>& names, std::size_t column_count,
                          column_role role, const std::string& choice);

/// Whether a choice is the name of one of the columns; a number is none here.
bool names_column(const std::vector<std::string>& names, const std::string& choice);

}  // namespace negpipe::ingest
