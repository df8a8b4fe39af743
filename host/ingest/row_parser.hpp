// Lines of ratings to columns of numbers, a block at a time.
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

/// Why parsing stopped before the end of a block.
struct parse_stop {
  /// text_...: an id that is not a plain number of 64 bits stands in a column of numbers. wide_...: a number does that
  /// does not fit 64 bits even unsigned, which is an error unless the column turns out to be text.
  enum class reason : std::uint8_t { none, error, text_user, text_item, wide_user, wide_item };

  reason why = reason::none;
  std::uint64_t line = 0;  ///< from 0, within the block
  std::size_t column = 0;  ///< in bytes, from 1
  std::string message;     ///< for text_...: the id, in quotes
};

/// Lines without a rating that stand before a row.
struct blank_lines {
  std::uint64_t row;
  std::uint64_t count;
};

/// What becomes of a row besides its parsing.
struct row_rules {
  missing_words words;
  missing_policy missing = missing_policy::error;
  std::optional<double> min_rating;
};

/// The ratings of one block. Ids are numbers of the block's own dictionaries, which may hold ids of dropped rows too.
struct parsed_block {
  id_dictionary user_ids;
  id_dictionary item_ids;
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> timestamps;  ///< empty where the table has no time column
  std::vector<std::uint64_t> fractions;  ///< of the timestamps; empty where all are 0
  std::vector<blank_lines> blanks;       ///< rows ascending
  std::uint64_t line_count = 0;          ///< lines parsed
  std::uint64_t rows_missing = 0;        ///< rows dropped by missing_policy::drop
  std::uint64_t rows_low = 0;            ///< rows dropped by min_rating
  bool text_users = false;               ///< whether a user id was met that is no number, in a column of text
  bool text_items = false;
  parse_stop stop;  ///< rows before it are whole
};

/// Parses whole rows. Never throws for what they hold: see parsed_block::stop.
parsed_block parse_block(const ratings_format& format, const row_rules& rules, std::string_view text, id_kind user_kind,
                         id_kind item_kind);

}  // namespace negpipe::ingest
