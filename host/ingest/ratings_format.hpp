// Format of a file of ratings.
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
  table,       ///< one rating per line
  item_lists,  ///< one user and its items per line
  json_lines,  ///< one object per line; its keys are the column names
};

/// Format of a table. Columns are 0-based.
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
  std::int64_t times_per_second = 0;  ///< of numbers since 1970; 0 if unknown
  bool has_header = false;
  std::string header;              ///< the header line; lines equal to it are skipped
  std::vector<std::string> names;  ///< of the columns; empty if the file has none
  char comment = '\0';             ///< lines that start with it are skipped; '\0' for none
  std::string assumed;             ///< properties that were assumed, for the summary
  std::size_t rows_begin = 0;      ///< bytes before the first row: byte order mark, comments, header
  std::uint64_t lines_before = 0;  ///< lines in them

  bool has_time() const { return timestamp != none; }
};

/// Detects the format from the beginning of a file, which must contain its first line. Options take precedence. Throws
/// input_error for an empty file, missing or ambiguous columns, and files that are not tables of ratings; option_error
/// for options that exclude each other.
ratings_format detect_format(const std::string& name, std::string_view text, const prepare_options& options);

/// Describes a format, without the kinds of ids, which depend on all rows.
detected_table describe(const ratings_format& format, const prepare_options& options);

/// Returns a line without its line end, LF or CR LF.
inline std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace negpipe::ingest
