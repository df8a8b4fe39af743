#include "block_builder.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace negpipe::ingest {

namespace {

enum class id_text : std::uint8_t { number, text, too_wide };

/// Reads a number in canonical form, with optional spaces around it, as pandas does. 007 is not canonical: 007 and 7
/// are two ids. Numbers from 2^63 to 2^64 - 1 are text, so that none is lost.
id_text parse_id(std::string_view text, std::int64_t& value) {
  text = trimmed(text);
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return id_text::text;
  const std::size_t first = text.front() == '-' ? 1 : 0;
  if (text[first] == '0' && text.size() > 1) return id_text::text;
  if (failure == std::errc{}) return id_text::number;
  std::uint64_t wide = 0;
  const auto [rest, overflow] = std::from_chars(text.data(), text.data() + text.size(), wide);
  return overflow == std::errc{} && rest == end ? id_text::text : id_text::too_wide;
}

/// Returns whether an id makes its column text: it is not a number, not even one beyond 64 bits.
bool is_word(std::string_view text) {
  std::int64_t value = 0;
  if (parse_id(text, value) != id_text::text) return false;
  text = trimmed(text);
  return text.front() == '0' || text.find_first_not_of("0123456789") != std::string_view::npos;
}

std::string wanted_time(time_format format) {
  return format == time_format::number
             ? "wanted a number such as 978300760 or 978300760.25 (seconds since 1970, or another count), or in all "
               "rows a date such as 2020-01-31 or 2020-01-31T23:59:59"
             : "wanted a date such as 2020-01-31 or 2020-01-31T23:59:59.25+01:00";
}

}  // namespace

const block_builder::column_kind block_builder::users{"user id", &parsed_block::user_ids, &block_builder::user_,
                                                      reason::text_user, reason::wide_user};
const block_builder::column_kind block_builder::items{"item id", &parsed_block::item_ids, &block_builder::item_,
                                                      reason::text_item, reason::wide_item};

block_builder::block_builder(const ratings_format& format, const row_rules& rules, id_kind user_kind, id_kind item_kind,
                             std::size_t expected_rows)
    : format_(format),
      rules_(rules),
      out_{.user_ids = id_dictionary(user_kind), .item_ids = id_dictionary(item_kind)},
      has_time_(format.has_time()),
      plain_users_(user_kind == id_kind::number && !rules.words.has_numbers()),
      plain_items_(item_kind == id_kind::number && !rules.words.has_numbers()),
      plain_times_(format.times == time_format::number && !rules.words.has_numbers()) {
  out_.users.reserve(expected_rows);
  out_.items.reserve(expected_rows);
  if (format.has_time()) out_.timestamps.reserve(expected_rows);
}

bool block_builder::stop(parse_stop::reason why, std::size_t column, std::string message) {
  out_.stop.why = why;
  out_.stop.column = column;
  out_.stop.message = std::move(message);
  return false;
}

bool block_builder::drop_missing(std::string_view what, std::size_t column, std::string_view found) {
  if (rules_.missing == missing_policy::drop) {
    ++out_.rows_missing;
    skip_line();
    return false;
  }
  return stop(
      reason::error, column,
      fmt::format("the {} is missing: found {}; set `missing` to drop to leave such rows out, or list the words "
                  "that mean \"missing\" in `na_values`",
                  what, in_quotes(found)));
}

bool block_builder::take_id(std::string_view text, std::size_t column, const column_kind& kind, bool& text_met) {
  if (rules_.words.contains(text)) return drop_missing(kind.what, column, text);
  id_dictionary& ids = out_.*kind.ids;
  if (ids.kind() == id_kind::text) {
    text_met = text_met || is_word(text);
    this->*kind.number = ids.add(text);
    return true;
  }
  std::int64_t id = 0;
  switch (parse_id(text, id)) {
    case id_text::number:
      this->*kind.number = ids.add(id);
      return true;
    case id_text::too_wide:
      return stop(kind.wide, column,
                  fmt::format("the {} {} does not fit 64 bits; renumber the ids", kind.what, in_quotes(text)));
    case id_text::text:
      break;
  }
  return stop(kind.text, column, in_quotes(text));
}

bool block_builder::parse_time(std::string_view text, std::size_t column) {
  if (rules_.words.contains(text)) return drop_missing("timestamp", column, text);
  if (parse_instant(format_.times, text, time_)) return true;
  return stop(reason::error, column,
              fmt::format("the timestamp is {}; {}", in_quotes(text), wanted_time(format_.times)));
}

bool block_builder::take_rating(std::string_view text, std::size_t column) {
  if (!rules_.min_rating) return true;
  if (rules_.words.contains(text)) return drop_missing("rating", column, text);
  const std::string_view number = trimmed(text);
  double rating = 0;
  const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), rating);
  if (failure != std::errc{} || end != number.data() + number.size() || std::isnan(rating)) {
    return stop(reason::error, column, fmt::format("the rating is {}; wanted a number", in_quotes(text)));
  }
  return take_rating(rating);
}

bool block_builder::take_rating(double rating) {
  if (std::isnan(rating)) return drop_missing("rating", 0, "nan");
  if (rating >= *rules_.min_rating) return true;
  ++out_.rows_low;
  skip_line();
  return false;
}

void block_builder::append_fraction() {
  out_.fractions.resize(out_.timestamps.size() - 1, 0);
  out_.fractions.push_back(time_.fraction);
}

void block_builder::add_blank_lines(std::uint64_t count) {
  const std::uint64_t row = out_.users.size();
  if (out_.blanks.empty() || out_.blanks.back().row != row) out_.blanks.push_back({row, 0});
  out_.blanks.back().count += count;
}

}  // namespace negpipe::ingest
