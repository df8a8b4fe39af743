// Where the rows of ratings stand, for messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "row_parser.hpp"

namespace negpipe::ingest {

/// From the number of a row to its file and line: they differ by headers, blank lines and rows that were dropped.
class row_locations {
 public:
  /// What a part's lines are called.
  enum class unit : unsigned char { line, row };

  /// Begins a file, or columns in memory: rows from first_row on belong to it.
  void begin_part(std::string name, unit lines, std::uint64_t first_row, std::uint64_t lines_before);
  /// Notes a block's blank lines; first_row is the number of the block's first row.
  void add(std::uint64_t first_row, const std::vector<blank_lines>& blanks);

  /// Such as "ratings.csv:12", lines counted from 1; or "the columns, row 11", rows counted from 0.
  std::string name_of(std::uint64_t row) const;
  /// The same, without the file when it is that of another row.
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
  std::vector<blank_lines> blanks_;  // rows are numbers among all, counts are running totals
};

}  // namespace negpipe::ingest
