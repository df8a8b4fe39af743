// Which kind of ratings file it is, told by its first line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "fields.hpp"

namespace negpipe::ingest {

/// Where the three fields that matter stand in a line, from 0.
struct ratings_format {
  separator by = separator::comma;
  std::size_t column_count = 0;
  std::size_t user = 0;
  std::size_t item = 0;
  std::size_t timestamp = 0;
  std::size_t header_bytes = 0;  ///< byte order mark and header line: where the ratings begin
  bool has_header = false;
};

/// Looks at the beginning of a file, which holds at least its first line. "::" in it means MovieLens' .dat; a tab
/// means u.data, with a header when the first field is not a number; else it is CSV, whose header names
/// user_id or userId, item_id or movieId, and timestamp. Throws input_error for an empty file and missing columns.
ratings_format detect_format(const std::filesystem::path& path, std::string_view text);

/// Line without the newline and the carriage return before it, if they are there.
std::string_view without_line_end(std::string_view line);

}  // namespace negpipe::ingest
