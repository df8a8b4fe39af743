// Locations of rows, for messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "row_parser.hpp"

namespace negpipe::ingest {

/// Maps the number of a row to its file and line, which depends on headers, blank lines and dropped rows.
class row_locations {
 public:
  /// Unit in messages: lines of a file, or rows of columns in memory.
  enum class unit : unsigned char { line, row };

  /// Starts a file, or columns in memory, at row first_row.
  void begin_part(std::string name, unit lines, std::uint64_t first_row, std::uint64_t lines_before);
  /// Adds a block's blank lines; first_row is the number of the block's first row.
  void add(std::uint64_t first_row, const std::vector<blank_lines>& blanks);

  /// Returns a location such as "ratings.csv:12" (1-based line) or "the columns, row 11" (0-based row).
  std::string name_of(std::uint64_t row) const;
  /// The same, without the file if `other` is in the same one.
  std::string name_beside(std::uint64_t row, std::uint64_t other) const;

 private:
  struct part {
    std::string name;
    unit lines;
    std::uint64_t first_row;
    std::uint64_t lines_before;
    std::uint64_t blanks_before;
  };
  const part& part_of(std::uint64_t row) const;
  std::uint64_t line_of(const part& file, std::uint64_t row) const;

  std::vector<part> parts_;
  std::vector<blank_lines> blanks_;  // rows are numbered over all files, counts are running totals
};

}  // namespace negpipe::ingest
