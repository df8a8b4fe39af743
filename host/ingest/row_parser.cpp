#include "row_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace negpipe::ingest {

namespace {

enum class number_result : std::uint8_t { number, overflow, other };

// An integer with optional spaces around it, as pandas reads one.
number_result parse_number(std::string_view text, std::int64_t& value) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return number_result::other;
  return failure == std::errc{} ? number_result::number : number_result::overflow;
}

// A timestamp may be written with a fraction of nothing but zeros, as a column of floating-point numbers is; any
// other fraction would have to be rounded, which can change the order of rows.
number_result parse_timestamp(std::string_view text, std::int64_t& value) {
  if (const auto point = text.find('.'); point != std::string_view::npos) {
    const std::string_view fraction = text.substr(point + 1);
    if (fraction.empty() || fraction.find_first_not_of('0') != std::string_view::npos) return number_result::other;
    text = text.substr(0, point);
  }
  return parse_number(text, value);
}

class row_parser {
 public:
  row_parser(const ratings_format& format, id_kind user_kind, id_kind item_kind)
      : format_(format), out_{.user_ids = id_dictionary(user_kind), .item_ids = id_dictionary(item_kind)} {}

  parsed_block parse(std::string_view text) && {
    const std::size_t expected_rows = text.size() / 16;
    out_.users.reserve(expected_rows);
    out_.items.reserve(expected_rows);
    out_.timestamps.reserve(expected_rows);
    for (; !text.empty(); ++out_.line_count) {
      const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
      const std::string_view row = without_line_end(text.substr(0, end));
      text.remove_prefix(end);
      if (row.empty()) {
        note_blank_line();
      } else if (!parse_row(row)) {
        out_.stop.line = out_.line_count;
        break;
      }
    }
    return std::move(out_);
  }

 private:
  using reason = parse_stop::reason;

  /// A column of ids, and why parsing may stop in it.
  struct column_kind {
    std::string_view what;
    reason text;
    reason wide;
  };
  static constexpr column_kind users{"user", reason::text_user, reason::wide_user};
  static constexpr column_kind items{"item", reason::text_item, reason::wide_item};

  void note_blank_line() {
    const std::uint64_t row = out_.users.size();
    if (out_.blanks.empty() || out_.blanks.back().row != row) out_.blanks.push_back({row, 0});
    ++out_.blanks.back().count;
  }

  bool stop(reason why, std::size_t column, std::string message = {}) {
    out_.stop.why = why;
    out_.stop.column = column;
    out_.stop.message = std::move(message);
    return false;
  }

  bool parse_row(std::string_view line) {
    std::int32_t user = 0;
    std::int32_t item = 0;
    std::int64_t timestamp = 0;
    field_cursor field(line, format_.by);
    std::size_t count = 0;
    for (; field.next(); ++count) {
      if (count == format_.user) {
        if (!parse_id(field, users, out_.user_ids, out_.text_users, user)) return false;
      } else if (count == format_.item) {
        if (!parse_id(field, items, out_.item_ids, out_.text_items, item)) return false;
      } else if (count == format_.timestamp) {
        if (parse_timestamp(field.text(), timestamp) != number_result::number) return stop_at_timestamp(field);
      }
    }
    if (field.broken_quotes()) {
      return stop(reason::error, field.column(),
                  "a quoted field does not end before the next comma; write quotes within quotes twice, and no line "
                  "break");
    }
    if (count != format_.column_count) {
      return stop(reason::error, 1, fmt::format("found {} fields, wanted {}", count, format_.column_count));
    }
    out_.users.push_back(user);
    out_.items.push_back(item);
    out_.timestamps.push_back(timestamp);
    return true;
  }

  bool parse_id(const field_cursor& field, const column_kind& column, id_dictionary& ids, bool& text_met,
                std::int32_t& number) {
    if (field.text().empty()) {
      return stop(reason::error, field.column(), fmt::format("the {} id is empty", column.what));
    }
    std::int64_t id = 0;
    if (ids.kind() == id_kind::text) {
      text_met = text_met || parse_number(field.text(), id) == number_result::other;
      number = ids.add(field.text());
      return true;
    }
    switch (parse_number(field.text(), id)) {
      case number_result::number:
        number = ids.add(id);
        return true;
      case number_result::overflow:
        return stop(
            column.wide, field.column(),
            fmt::format("the {} id {} does not fit 64 bits; renumber the ids", column.what, in_quotes(field.text())));
      case number_result::other:
        break;
    }
    return stop(column.text, field.column());
  }

  bool stop_at_timestamp(const field_cursor& field) {
    return stop(reason::error, field.column(),
                fmt::format("the timestamp is {}; wanted a whole number of 64 bits, such as seconds since 1970",
                            in_quotes(field.text())));
  }

  const ratings_format& format_;
  parsed_block out_;
};

}  // namespace

parsed_block parse_block(const ratings_format& format, std::string_view text, id_kind user_kind, id_kind item_kind) {
  return row_parser(format, user_kind, item_kind).parse(text);
}

}  // namespace negpipe::ingest
