// All ratings of a file, as columns in the order of its rows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "id_dictionary.hpp"
#include "negpipe/run_control.hpp"
#include "row_parser.hpp"

namespace negpipe::ingest {

/// From the number of a row to that of its line: rows and lines differ by the header and by blank lines.
class line_numbers {
 public:
  explicit line_numbers(std::uint64_t header_lines = 0) : before_first_(header_lines) {}

  /// Notes a block's blank lines; first_row is the number of the block's first row.
  void add(std::uint64_t first_row, const std::vector<blank_lines>& blanks);
  /// From 1, as editors count.
  std::uint64_t line_of(std::uint64_t row) const;

 private:
  std::uint64_t before_first_;
  std::vector<blank_lines> blanks_;  // counts are running totals
};

/// Users and items are numbered by first appearance over all rows.
struct rating_columns {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> timestamps;  ///< empty where rows stand in the order of time
  std::vector<std::uint64_t> fractions;  ///< of the timestamps, see instant; empty where all are 0

  std::uint64_t row_count() const { return users.size(); }
  /// What orders the rows of a user, ties apart.
  instant time_of(std::uint64_t row) const {
    if (timestamps.empty()) return {static_cast<std::int64_t>(row), 0};
    return {timestamps[row], fractions.empty() ? 0 : fractions[row]};
  }
};

struct ratings {
  rating_columns columns;
  id_dictionary user_ids{id_kind::number};
  id_dictionary item_ids{id_kind::number};
  std::string first_text_user;  ///< why users are text: where the first id stands that is no plain number, and the id
  std::string first_text_item;
  line_numbers lines;
  detected_table detected;
  std::uint64_t rows_missing = 0;
  std::uint64_t rows_low = 0;
  std::string digest;  ///< MD5 of the file
};

/// Reads a whole file, parsing in parallel; the first bad line of the file is the one reported, whatever the number
/// of threads. Throws input_error, option_error, io_error, interrupted_error.
ratings read_ratings(const std::filesystem::path& path, const prepare_options& options, const run_control& control);

}  // namespace negpipe::ingest
