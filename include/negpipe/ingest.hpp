// From a table of ratings to a dataset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

/// What to do with a (user, item) pair that occurs twice.
enum class duplicate_policy : std::uint8_t { error, first, last };

/// What to do with a row whose user, item, time or (with min_rating) rating is missing.
enum class missing_policy : std::uint8_t { error, drop };

/// The order of one user's rows of the same time.
enum class tie_order : std::uint8_t {
  file,      ///< as in the file
  shuffled,  ///< pseudo-random from the seed, in place of the unstable sort of the MLPerf reference
};

/// What orders the rows of a user.
enum class row_order : std::uint8_t {
  time,  ///< the time column; a table without one is refused
  file,  ///< their order in the file; a time column is not read
};

/// What a line holds.
enum class row_layout : std::uint8_t {
  detected,
  table,       ///< a rating
  item_lists,  ///< a user, then the user's items
};

enum class text_encoding : std::uint8_t {
  detected,  ///< UTF-16 where the text begins with its byte order mark, else UTF-8
  utf8,
  latin1,
  utf16,  ///< in the order of its byte order mark; little-endian without one
};

/// Known datasets whose counts can be checked.
enum class known_dataset : std::uint8_t { ml_1m, ml_20m };

/// How a table is read. What is left at its default is detected; see prepare_summary::detected for the outcome.
struct table_options {
  // A column by its name (in any case, with or without a suffix such as ":token") or by its number from 1.
  std::string user_column;
  std::string item_column;
  std::string time_column;
  std::string rating_column;  ///< read only for min_rating

  std::string separator;       ///< "::" or one character; " " stands for runs of spaces and tabs
  std::optional<bool> header;  ///< whether the first line names the columns
  std::string comment;         ///< lines that begin with this character are skipped
  bool quotes = true;          ///< false: quotes are characters like others
  row_layout layout = row_layout::detected;
  text_encoding encoding = text_encoding::detected;
  std::string member;  ///< of a zip archive that holds several files: the path or the name of the table
  row_order order = row_order::time;
  missing_policy missing = missing_policy::error;
  /// Words that mean "missing", besides the empty field.
  std::vector<std::string> na_values = {"None", "none", "NULL", "null", "\\N",  "nan",  "NaN", "NAN",
                                        "-nan", "NA",   "N/A",  "n/a",  "#N/A", "<NA>", "NaT", "nil"};
};

struct prepare_options {
  table_options table;
  std::optional<double> min_rating;    ///< rows rated lower are no positives: they are dropped first
  std::uint32_t min_ratings = 20;      ///< users with fewer rows are dropped
  std::uint32_t min_item_ratings = 1;  ///< then items with fewer rows are dropped
  bool k_core = false;                 ///< both in turn until every user and item that is left has enough rows
  tie_order ties = tie_order::file;
  duplicate_policy duplicates = duplicate_policy::error;
  std::optional<known_dataset> expect;
  std::uint64_t seed = 0;  ///< only tie_order::shuffled uses it
};

/// How a table was read.
struct detected_table {
  std::string format;       ///< such as "CSV with a header"
  std::string user_column;  ///< such as "user_id (column 1)"
  std::string item_column;
  std::string time_column;    ///< empty for row_order::file
  std::string rating_column;  ///< empty unless min_rating needs it
  std::string user_ids;       ///< "numbers", or "text" with the reason
  std::string item_ids;
  std::string times;    ///< such as "seconds since 1970", "dates", "order of the file"
  std::string assumed;  ///< what could not be told from the file, such as the order of columns without a header

  /// All of it in one line.
  std::string to_string() const;
};

/// What prepare did with the rows it read.
struct prepare_summary {
  detected_table detected;
  std::uint64_t rows_read = 0;          ///< rows that were read whole: not those that the next two count
  std::uint64_t rows_missing = 0;       ///< rows dropped because a value is missing
  std::uint64_t rows_below_rating = 0;  ///< rows dropped by min_rating
  std::uint64_t duplicates_dropped = 0;
  std::uint64_t users_dropped = 0;
  std::uint64_t items_dropped = 0;
  std::uint64_t rows_dropped = 0;  ///< rows of the dropped users and items
};

/// Ratings in memory: row i is (users[i], items[i], times[i], ratings[i]). A view; nothing is owned.
struct rating_table {
  raw_ids users{std::span<const std::int64_t>{}};
  raw_ids items{std::span<const std::int64_t>{}};
  std::span<const std::int64_t> times;    ///< any unit; empty with row_order::file
  std::span<const double> ratings;        ///< read only for min_rating; NaN is missing
  std::span<const std::uint8_t> valid;    ///< 0 where a value of the row is missing; empty where none is
  std::string_view name = "the columns";  ///< in messages, and as the source of the dataset
};

/// Reads a table of ratings and builds the dataset: CSV and its relatives, with or without a header; MovieLens .dat
/// ("::") and u.data; JSON lines; lines of a user and items. Each may be compressed (gzip, zstd, bzip2, xz, or a zip
/// archive with one table), with LF, CRLF or CR line ends, a byte order mark, and without a last newline; "-" is
/// standard input, which is copied to a nameless file in TMPDIR. Columns are found by name in any order, or chosen by
/// table_options. Parsing is parallel; the result depends on the file and the options alone.
///
/// In this order: rows with missing values are settled, then rows below min_rating; repeated pairs are settled over all
/// that is left; users and items with too few rows are dropped; users and items are numbered by first appearance
/// in what is left; each user's rows are ordered by time; the last is held out; the rest, sorted by item, are the
/// training positives.
///
/// Ids are numbers in a column where each is a plain number that fits a signed 64-bit integer, text in others: ids that
/// are spelled differently (7, 007) stay different.
///
/// Throws input_error (file, line, what was found and wanted), io_error, option_error, interrupted_error.
dataset prepare(const std::filesystem::path& ratings, const prepare_options& options = {},
                const run_control& control = {}, prepare_summary* summary = nullptr);

/// Reads several files as one table, in the order given: each is detected by itself, and each may have a header.
dataset prepare(std::span<const std::filesystem::path> files, const prepare_options& options,
                const run_control& control = {}, prepare_summary* summary = nullptr);

/// Builds the dataset from columns in memory, as from a file that holds them; of table_options it uses order, missing
/// and na_values. A column of text stays text, also where each id is a number. Messages count rows from 0.
dataset prepare(const rating_table& table, const prepare_options& options, const run_control& control = {},
                prepare_summary* summary = nullptr);

}  // namespace negpipe
