// Fields of rows, wherever they were found, to the columns of a block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "row_parser.hpp"

namespace negpipe::ingest {

/// Takes the fields of one row after the other. Each take_... returns false when the row is over: it was dropped, or
/// parsing stops (see stopped).
class block_builder {
 public:
  block_builder(const ratings_format& format, const row_rules& rules, id_kind user_kind, id_kind item_kind,
                std::size_t expected_rows);

  bool take_user(std::string_view text, std::size_t column) { return take_id(text, column, users, out_.text_users); }
  bool take_item(std::string_view text, std::size_t column) { return take_id(text, column, items, out_.text_items); }
  bool take_time(std::string_view text, std::size_t column);
  bool take_rating(std::string_view text, std::size_t column);

  // The same of values that need no parsing. Ids are of columns of numbers.
  bool take_user(std::int64_t id);
  bool take_item(std::int64_t id);
  bool take_time(instant time);
  bool take_rating(double rating);

  /// Settles a row in which a value is missing, by the rules. Always false.
  bool drop_missing(std::string_view what, std::size_t column = 0, std::string_view found = {});

  void finish_row();
  /// The row is dropped: the line counts as blank.
  void skip_line() { add_blank_lines(1); }
  /// Lines that hold no row of their own before the next row.
  void add_blank_lines(std::uint64_t count);

  bool stopped() const { return out_.stop.why != parse_stop::reason::none; }
  /// Always false.
  bool stop(parse_stop::reason why, std::size_t column, std::string message);

  parsed_block& block() { return out_; }

 private:
  using reason = parse_stop::reason;

  /// A column of ids, and why parsing may stop in it.
  struct column_kind {
    std::string_view what;
    id_dictionary parsed_block::*ids;
    std::int32_t block_builder::*number;
    reason text;
    reason wide;
  };
  static const column_kind users;
  static const column_kind items;

  bool take_id(std::string_view text, std::size_t column, const column_kind& kind, bool& text_met);

  const ratings_format& format_;
  const row_rules& rules_;
  parsed_block out_;
  std::int32_t user_ = 0;
  std::int32_t item_ = 0;
  instant time_;
};

}  // namespace negpipe::ingest
