// Parses blocks of rows to columns of numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "id_dictionary.hpp"
#include "missing_words.hpp"
#include "negpipe/ingest.hpp"
#include "ratings_format.hpp"

namespace negpipe::ingest {

/// Reason and location of a stop before the end of a block.
struct parse_stop {
  /// - text_...: a column of numbers has an id that is not a canonical signed 64-bit number.
  /// - wide_...: a column of numbers has a number beyond unsigned 64 bits, which is an error unless the column turns
  ///   out to be text.
  enum class reason : std::uint8_t { none, error, text_user, text_item, wide_user, wide_item };

  reason why = reason::none;
  std::uint64_t line = 0;  ///< 0-based, within the block
  std::size_t column = 0;  ///< 1-based, in bytes
  std::string message;     ///< for text_...: the id, in quotes
};

/// Number of lines without a rating before a row.
struct blank_lines {
  std::uint64_t row;
  std::uint64_t count;
};

/// Rules by which rows are dropped.
struct row_rules {
  missing_words words;
  missing_policy missing = missing_policy::error;
  std::optional<double> min_rating;
};

/// Returns the rules of the options. Throws option_error if min_rating is not a number.
row_rules rules_of(const prepare_options& options);

/// Ratings of one block. Ids are numbers of the block's own dictionaries, which may contain ids of dropped rows.
struct parsed_block {
  id_dictionary user_ids;
  id_dictionary item_ids;
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> timestamps;  ///< empty if the table has no time column
  std::vector<std::uint64_t> fractions;  ///< of the timestamps; empty if all are 0
  std::vector<blank_lines> blanks;       ///< rows ascending
  std::uint64_t line_count = 0;          ///< lines parsed
  std::uint64_t rows_missing = 0;        ///< rows dropped by missing_policy::drop
  std::uint64_t rows_low = 0;            ///< rows dropped by min_rating
  bool text_users = false;               ///< in a column of text: whether a user id is not a number
  bool text_items = false;
  parse_stop stop;  ///< rows before it are complete
};

/// Parses complete rows. Reports errors in them through parsed_block::stop; does not throw.
parsed_block parse_block(const ratings_format& format, const row_rules& rules, std::string_view text, id_kind user_kind,
                         id_kind item_kind);

}  // namespace negpipe::ingest
