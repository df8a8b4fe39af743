// Builds datasets from Arrow tables in memory, through the Arrow C stream interface
// (https://arrow.apache.org/docs/format/CStreamInterface.html).
#pragma once

#include <optional>
#include <string_view>

#include "negpipe/ingest.hpp"

struct ArrowArrayStream;

namespace negpipe {

/// A table as its producer exports it: pyarrow, Polars, pandas, DuckDB or the Arrow C++ library.
struct arrow_table {
  ArrowArrayStream* stream;               ///< read to its end; its owner releases it
  std::string_view name = "the table";  ///< for messages and dataset_origin::source
};

/// The tables of a given split.
struct arrow_split {
  arrow_table training;
  arrow_table test;
  std::optional<arrow_table> validation = {};
};

/// Builds a dataset from a table, as from a file with the same rows.
/// - Columns are found by name or chosen, as in a file. The options of text formats are ignored.
/// - Ids: integers of any width or text (utf8, large_utf8, utf8_view and binary), also dictionary-encoded. A text
///   column stays text even if every id is a number. Unsigned values from 2^63 on make their column text.
/// - Times: integers, floats, timestamps of any unit, dates, or text as in a file. Ratings: integers or floats.
/// - Nulls are missing values (table_options::missing), and so are texts and integers that na_values contain.
/// - Keeps no memory of the stream. Messages count rows from 0.
///
/// Throws input_error for a column of another type and for what prepare() refuses in a file; io_error with the
/// producer's message if the stream fails.
dataset prepare(const arrow_table& table, const prepare_options& options, const run_control& control = {},
                prepare_summary* summary = nullptr);
dataset prepare(const arrow_split& tables, const prepare_options& options, const run_control& control = {},
                prepare_summary* summary = nullptr);

}  // namespace negpipe
