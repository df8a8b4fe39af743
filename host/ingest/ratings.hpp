// All ratings, as columns in the order of the rows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "id_dictionary.hpp"
#include "instant.hpp"
#include "negpipe/arrow.hpp"
#include "negpipe/ingest.hpp"
#include "negpipe/run_control.hpp"
#include "row_locations.hpp"

namespace negpipe::ingest {

class row_spool;

enum class row_set : std::uint8_t { training, validation, test };

/// Users and items are numbered by first appearance over all rows.
struct rating_columns {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> timestamps;  ///< empty if rows are in the order of time
  std::vector<std::uint64_t> fractions;  ///< of the timestamps, see instant; empty if all are 0
  std::vector<std::uint64_t> ranks;      ///< numbers of the rows for tie_order::shuffled; empty: their positions
  std::vector<row_set> sets;             ///< of a common_split, else empty

  std::uint64_t row_count() const { return users.size(); }
  /// Returns the time by which the rows of a user are ordered.
  instant time_of(std::uint64_t row) const {
    if (timestamps.empty()) return {static_cast<std::int64_t>(row), 0};
    return {timestamps[row], fractions.empty() ? 0 : fractions[row]};
  }
};

struct ratings {
  rating_columns columns;
  id_dictionary user_ids{id_kind::number};
  id_dictionary item_ids{id_kind::number};
  row_locations locations;
  std::vector<std::uint64_t> part_begins;           ///< first row of each file or table
  time_format times = time_format::number;          ///< of the first file
  std::int64_t times_per_second = 0;                ///< unit of numbers since 1970; 0 if unknown
  detected_table detected;
  std::uint64_t rows_missing = 0;
  std::uint64_t rows_low = 0;
  std::string name;    ///< of the file, or of the files
  std::string digest;  ///< MD5 of the file, or of the files' digests; empty for columns in memory
};

/// Reads files in order, and parses them in parallel. Reports the first wrong line for any number of threads. Throws
/// input_error, option_error, io_error, interrupted_error.
/// - spool: takes the rows; the result has no columns if it does.
ratings read_ratings(std::span<const std::filesystem::path> files, const prepare_options& options,
                     const run_control& control, row_spool* spool = nullptr);

/// The same for tables in memory.
ratings read_columns(std::span<const rating_table> tables, const prepare_options& options, const run_control& control);

/// The same for Arrow tables. With a spool, holds a few batches of a stream at a time.
ratings read_arrow(std::span<const arrow_table> tables, const prepare_options& options, const run_control& control,
                   row_spool* spool = nullptr);

}  // namespace negpipe::ingest
