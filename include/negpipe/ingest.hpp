// Builds datasets from tables of ratings.
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
#include "negpipe/split.hpp"

namespace negpipe {

/// What to do with a (user, item) pair that occurs more than once.
enum class duplicate_policy : std::uint8_t { error, first, last };

/// What to do with a row whose user, item, time or (with min_rating) rating is missing.
enum class missing_policy : std::uint8_t { error, drop };

/// The order of a user's rows with equal times.
enum class tie_order : std::uint8_t {
  file,      ///< as in the file
  shuffled,  ///< pseudo-random from the seed; replaces the unstable sort of the MLPerf reference
};

/// The order of a user's rows.
enum class row_order : std::uint8_t {
  time,  ///< by the time column; required
  file,  ///< as in the file; a time column is ignored
};

/// The content of a line.
enum class row_layout : std::uint8_t {
  detected,
  table,       ///< one rating
  item_lists,  ///< a user and the user's items
};

enum class text_encoding : std::uint8_t {
  detected,  ///< UTF-16 if the text begins with its byte order mark, else UTF-8
  utf8,
  latin1,
  utf16,  ///< byte order from the byte order mark; little-endian without one
};

/// Well-known datasets whose counts can be checked.
enum class known_dataset : std::uint8_t { ml_1m, ml_20m };

/// How a table is read. Options left at their defaults are detected; prepare_summary::detected has the outcome.
struct table_options {
  // A column's name (in any case, with or without a suffix such as ":token") or its number, counted from 1.
  std::string user_column;
  std::string item_column;
  std::string time_column;
  std::string rating_column;  ///< used only with min_rating

  std::string separator;       ///< "::" or one character; " " stands for runs of spaces and tabs
  std::optional<bool> header;  ///< whether the first line names the columns
  std::string comment;         ///< lines that begin with this character are skipped
  bool quotes = true;          ///< false: quotes are ordinary characters
  row_layout layout = row_layout::detected;
  text_encoding encoding = text_encoding::detected;
  std::string member;  ///< path or name of the table in a zip archive of several files
  /// Names of the files in messages and dataset_origin::source, in their order (of a given split: training, validation,
  /// test); empty: their paths. For copies of files.
  std::vector<std::string> names;
  row_order order = row_order::time;
  missing_policy missing = missing_policy::error;
  /// Words that mean "missing", in addition to the empty field; in columns of integers those that are integers.
  std::vector<std::string> na_values = {"None", "none", "NULL", "null", "\\N",  "nan",  "NaN", "NAN",
                                        "-nan", "NA",   "N/A",  "n/a",  "#N/A", "<NA>", "NaT", "nil"};
};

struct prepare_options {
  table_options table;
  std::optional<double> min_rating;    ///< rows with a lower rating are dropped first
  std::uint32_t min_ratings = 20;      ///< users with fewer rows are dropped
  std::uint32_t min_item_ratings = 1;  ///< then items with fewer rows are dropped
  bool k_core = false;                 ///< repeats both until all remaining users and items have enough rows
  tie_order ties = tie_order::file;
  duplicate_policy duplicates = duplicate_policy::error;
  split_options split;                            ///< ignored for a given split
  unknown_policy unknown = unknown_policy::drop;  ///< held-out users and items without training rows
  std::optional<known_dataset> expect;
  std::uint64_t seed = 0;  ///< used only by tie_order::shuffled
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
  std::string assumed;  ///< what the file does not say, such as the order of columns without a header

  /// Returns all of it in one line.
  std::string to_string() const;
};

/// What prepare did with the rows.
struct prepare_summary {
  detected_table detected;
  std::uint64_t rows_read = 0;          ///< complete rows: excludes rows_missing and rows_below_rating
  std::uint64_t rows_missing = 0;       ///< rows dropped for a missing value
  std::uint64_t rows_below_rating = 0;  ///< rows dropped by min_rating
  std::uint64_t duplicates_dropped = 0;
  std::uint64_t users_dropped = 0;
  std::uint64_t items_dropped = 0;
  std::uint64_t rows_dropped = 0;  ///< rows of the dropped users and items
  std::uint64_t unknown_rows = 0;  ///< held-out rows dropped by unknown_policy::drop
  std::uint64_t unknown_users = 0;
  std::uint64_t unknown_items = 0;
  std::vector<std::string> unknown_user_ids;  ///< the first ten
  std::vector<std::string> unknown_item_ids;
};

/// Ratings in memory: row i is (users[i], items[i], times[i], ratings[i]). Non-owning.
struct rating_table {
  raw_ids users{std::span<const std::int64_t>{}};
  raw_ids items{std::span<const std::int64_t>{}};
  std::span<const std::int64_t> times;    ///< any unit; empty with row_order::file
  std::span<const double> ratings;        ///< used only with min_rating; NaN means missing
  std::span<const std::uint8_t> valid;    ///< 0 where a value of the row is missing; empty if none is
  std::string_view name = "the columns";  ///< for messages and dataset_origin::source
};

/// Reads a table of ratings and builds a dataset.
/// - Formats: CSV and its dialects, with or without a header; MovieLens .dat ("::") and u.data; JSON lines; lines of a
///   user and items. LF, CRLF or CR line ends; a byte order mark and a missing last newline are accepted.
/// - Compression: gzip, zstd, bzip2, xz, or a zip archive with one table.
/// - ratings: "-" is standard input, which is copied to an unnamed file in TMPDIR.
/// - Columns are found by name in any order, or chosen by table_options.
/// - Ids: integers if every id of the column is a plain number that fits a signed 64-bit integer, else text. Ids that
///   are spelled differently (7, 007) stay different.
///
/// Order of steps: drops or rejects rows with missing values, drops rows below min_rating, resolves repeated pairs,
/// drops users and items with too few rows, drops held-out rows by `unknown`, numbers users and items by first
/// appearance, splits each user's rows (see split.hpp), and sorts each set of a user by item.
///
/// Parsing is parallel. The result depends on the file and the options only.
/// Throws input_error (file, line, what was found and wanted), io_error, option_error, interrupted_error.
dataset prepare(const std::filesystem::path& ratings, const prepare_options& options = {},
                const run_control& control = {}, prepare_summary* summary = nullptr);

/// Reads several files as one table, in the given order. Each file is detected separately and may have a header.
dataset prepare(std::span<const std::filesystem::path> files, const prepare_options& options,
                const run_control& control = {}, prepare_summary* summary = nullptr);

/// Builds a dataset from a given split. Steps before the split treat the files as one table, training files first: for
/// example, a test row that repeats a training row is a duplicate. Times are not read.
dataset prepare(const split_files& files, const prepare_options& options, const run_control& control = {},
                prepare_summary* summary = nullptr);

/// Builds a dataset from columns in memory, as from a file with the same rows. Of table_options only order, missing and
/// na_values apply. A text column stays text even if every id is a number. Messages count rows from 0.
dataset prepare(const rating_table& table, const prepare_options& options, const run_control& control = {},
                prepare_summary* summary = nullptr);

/// The tables of a given split. Ids of one kind in all of them: numbers or text.
struct split_tables {
  rating_table training;
  rating_table test;
  std::optional<rating_table> validation = {};
};
dataset prepare(const split_tables& tables, const prepare_options& options, const run_control& control = {},
                prepare_summary* summary = nullptr);

}  // namespace negpipe
