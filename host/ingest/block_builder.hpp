// Converts the fields of rows, of any table format, to the columns of a block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "row_parser.hpp"

namespace negpipe::ingest {

/// Accepts the fields of consecutive rows. take_...() returns false if the rest of the row must be skipped: the row was
/// dropped, or parsing stops (see stopped()). Not thread-safe.
class block_builder {
 public:
  block_builder(const ratings_format& format, const row_rules& rules, id_kind user_kind, id_kind item_kind,
                std::size_t expected_rows);

  bool take_user(std::string_view text, std::size_t column) {
    std::int64_t id = 0;
    if (plain_users_ && is_plain_number(text, id)) return take_user(id);
    return take_id(text, column, users, out_.text_users);
  }
  bool take_item(std::string_view text, std::size_t column) {
    std::int64_t id = 0;
    if (plain_items_ && is_plain_number(text, id)) return take_item(id);
    return take_id(text, column, items, out_.text_items);
  }
  bool take_time(std::string_view text, std::size_t column) {
    if (plain_times_ && is_plain_number(text, time_.whole)) {
      time_.fraction = 0;
      return true;
    }
    return parse_time(text, column);
  }
  bool take_rating(std::string_view text, std::size_t column);

  // The same for values that need no parsing. The columns of ids must be numbers.
  bool take_user(std::int64_t id) {
    user_ = out_.user_ids.add(id);
    return true;
  }
  bool take_item(std::int64_t id) {
    item_ = out_.item_ids.add(id);
    return true;
  }
  bool take_time(instant time) {
    time_ = time;
    return true;
  }
  bool take_rating(double rating);

  /// Drops a row with a missing value, or stops at it, according to the rules. Returns false.
  bool drop_missing(std::string_view what, std::size_t column = 0, std::string_view found = {});

  void finish_row() {
    out_.users.push_back(user_);
    out_.items.push_back(item_);
    if (!has_time_) return;
    out_.timestamps.push_back(time_.whole);
    if (time_.fraction != 0 || !out_.fractions.empty()) append_fraction();
  }
  /// Drops the row: its line counts as blank.
  void skip_line() { add_blank_lines(1); }
  /// Adds lines without a row before the next row.
  void add_blank_lines(std::uint64_t count);

  bool stopped() const { return out_.stop.why != parse_stop::reason::none; }
  /// Stops parsing. Returns false.
  bool stop(parse_stop::reason why, std::size_t column, std::string message);

  parsed_block& block() { return out_; }

 private:
  using reason = parse_stop::reason;

  /// A column of ids, and the reasons for which parsing may stop in it.
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
  bool parse_time(std::string_view text, std::size_t column);
  void append_fraction();

  /// Fast path for almost all fields: up to 18 digits without a leading zero. Returns false for other numbers too.
  static bool is_plain_number(std::string_view text, std::int64_t& value) {
    constexpr std::size_t max_digits = 18;
    if (text.empty() || text.size() > max_digits || (text.front() == '0' && text.size() > 1)) return false;
    std::int64_t number = 0;
    for (const char c : text) {
      const auto digit = static_cast<unsigned char>(c - '0');
      if (digit > 9) return false;
      number = number * 10 + digit;
    }
    value = number;
    return true;
  }

  const ratings_format& format_;
  const row_rules& rules_;
  parsed_block out_;
  bool has_time_;
  bool plain_users_;  // plain numbers need not be compared with the rules
  bool plain_items_;
  bool plain_times_;
  std::int32_t user_ = 0;
  std::int32_t item_ = 0;
  instant time_;
};

}  // namespace negpipe::ingest
