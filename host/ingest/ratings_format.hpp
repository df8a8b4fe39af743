// How the rows of a file are laid out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fields.hpp"
#include "instant.hpp"
#include "negpipe/ingest.hpp"

namespace negpipe::ingest {

enum class table_shape : std::uint8_t {
  table,       ///< a row a line
  item_lists,  ///< a user a line, then the user's items
  json_lines,  ///< an object a line; names and columns are its keys
};

/// Where the fields that matter stand in a row, from 0.
struct ratings_format {
  static constexpr std::size_t none = ~std::size_t{0};

  table_shape shape = table_shape::table;
  field_syntax syntax;
  std::size_t column_count = 0;
  std::size_t user = 0;
  std::size_t item = 0;
  std::size_t timestamp = none;
  std::size_t rating = none;
  time_format times = time_format::number;
  std::string time_unit;  ///< for the summary
  bool has_header = false;
  std::string header;              ///< the header line; lines equal to it are no rows
  std::vector<std::string> names;  ///< of the columns, where the file has them
  char comment = '\0';             ///< lines that begin with it hold no row; '\0' for none
  std::string assumed;             ///< what was assumed rather than found
  std::size_t rows_begin = 0;      ///< bytes before the first row: byte order mark, comments, header
  std::uint64_t lines_before = 0;  ///< lines in them

  bool has_time() const { return timestamp != none; }
};

/// Finds the format from the beginning of a file, which holds at least its first line; what the options name is taken
/// as it is. Throws input_error for an empty file, missing and ambiguous columns, and what is no table of ratings;
/// option_error for options that exclude each other.
ratings_format detect_format(const std::string& name, std::string_view text, const prepare_options& options);

/// What was found and assumed, but for the kinds of ids, which depend on all rows.
detected_table describe(const ratings_format& format, const prepare_options& options);

/// Line without the newline and the carriage return before it, if they are there.
inline std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace negpipe::ingest
