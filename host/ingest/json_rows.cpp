#include "json_rows.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <optional>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

namespace ondemand = simdjson::ondemand;

/// Returns the text of a string or number; nothing for null. Throws simdjson_error for other values.
std::optional<std::string_view> text_of(ondemand::value value) {
  switch (ondemand::json_type(value.type())) {
    case ondemand::json_type::string:
      return std::string_view(value.get_string());
    case ondemand::json_type::number: {
      std::string_view token = value.raw_json_token();
      while (!token.empty() && (token.back() == ' ' || token.back() == '\r')) token.remove_suffix(1);
      return token;
    }
    case ondemand::json_type::null:
      return std::nullopt;
    default:
      throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE);
  }
}

class json_parser {
 public:
  json_parser(const ratings_format& format, block_builder& out) : format_(format), out_(out) {}

  void parse(std::string_view text) {
    const simdjson::padded_string padded(text);  // simdjson reads a few bytes beyond the end
    std::string_view rest = padded;
    std::uint64_t& line = out_.block().line_count;
    for (; !rest.empty(); ++line) {
      const std::size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
      const std::string_view row = without_line_end(rest.substr(0, end));
      if (row.find_first_not_of(" \t") == std::string_view::npos) {
        out_.skip_line();
      } else {
        parse_line(simdjson::padded_string_view(row, rest.size() + simdjson::SIMDJSON_PADDING));
      }
      if (out_.stopped()) {
        out_.block().stop.line = line;
        return;
      }
      rest.remove_prefix(end);
    }
  }

 private:
  void parse_line(simdjson::padded_string_view line) {
    try {
      ondemand::document object = parser_.iterate(line);
      if (take_fields(object.get_object())) {
        if (object.current_location().error() == simdjson::SUCCESS)
          throw simdjson::simdjson_error(simdjson::TRAILING_CONTENT);
        out_.finish_row();
      }
    } catch (const simdjson::simdjson_error& failure) {
      const std::string_view reason =
          failure.error() == simdjson::INCORRECT_TYPE ? "a value is not a string, number or null" : failure.what();
      out_.stop(parse_stop::reason::error, 1,
                fmt::format("the line is not a JSON object of ratings ({}): {}", reason,
                            in_quotes(std::string_view(line.data(), line.length()))));
    }
  }

  // Reads the object to its end even if the row is dropped, so that damaged lines are detected.
  bool take_fields(ondemand::object object) {
    bool seen[4] = {};
    bool taken = true;
    for (auto field : object) {
      const std::string_view key = field.unescaped_key();
      const std::size_t column = column_of(key);
      if (column == ratings_format::none) continue;
      const auto text = text_of(field.value());
      if (!taken || out_.stopped()) continue;
      seen[static_cast<std::size_t>(role_of(column))] = true;
      taken = take(role_of(column), text.value_or(std::string_view()));
    }
    if (!taken) return false;
    constexpr std::string_view names[] = {"user id", "item id", "timestamp", "rating"};
    const std::size_t columns[] = {format_.user, format_.item, format_.timestamp, format_.rating};
    for (std::size_t i = 0; i < 4; ++i) {
      if (columns[i] != ratings_format::none && !seen[i]) return out_.drop_missing(names[i], 1);
    }
    return true;
  }

  enum class role : unsigned char { user, item, time, rating };

  std::size_t column_of(std::string_view key) const {
    for (const std::size_t column : {format_.user, format_.item, format_.timestamp, format_.rating}) {
      if (column != ratings_format::none && format_.names[column] == key) return column;
    }
    return ratings_format::none;
  }

  role role_of(std::size_t column) const {
    if (column == format_.user) return role::user;
    if (column == format_.item) return role::item;
    return column == format_.timestamp ? role::time : role::rating;
  }

  bool take(role as, std::string_view text) {
    switch (as) {
      case role::user:
        return out_.take_user(text, 1);
      case role::item:
        return out_.take_item(text, 1);
      case role::time:
        return out_.take_time(text, 1);
      case role::rating:
        break;
    }
    return out_.take_rating(text, 1);
  }

  const ratings_format& format_;
  block_builder& out_;
  ondemand::parser parser_;
};

std::string beginning_of(ondemand::value value) {
  const ondemand::json_type type = value.type();
  if (type == ondemand::json_type::array || type == ondemand::json_type::object) return {};
  if (type == ondemand::json_type::string) return std::string(std::string_view(value.get_string()));
  return std::string(std::string_view(value.raw_json_token()));
}

}  // namespace

void parse_json_rows(const ratings_format& format, std::string_view text, block_builder& out) {
  json_parser(format, out).parse(text);
}

void read_json_beginning(const std::string& where, std::string_view text, std::vector<std::string>& names,
                         std::vector<std::vector<std::string>>& rows) {
  constexpr std::size_t max_rows = 64;
  ondemand::parser parser;
  for (std::size_t line = 0; line < max_rows && !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const simdjson::padded_string padded(without_line_end(text.substr(0, end)));
    text.remove_prefix(end);
    try {
      ondemand::document document = parser.iterate(padded);
      std::vector<std::string> values(names.size());
      for (auto field : document.get_object()) {
        const std::string key(std::string_view(field.unescaped_key()));
        auto known = std::find(names.begin(), names.end(), key);
        if (known == names.end() && rows.empty()) {
          names.push_back(key);
          values.emplace_back();
          known = std::prev(names.end());
        }
        if (known != names.end()) values[static_cast<std::size_t>(known - names.begin())] = beginning_of(field.value());
      }
      rows.push_back(std::move(values));
    } catch (const simdjson::simdjson_error& failure) {
      if (!rows.empty()) return;  // parsing the row will report the error
      throw input_error(
          fmt::format("{}: the line is not a JSON object ({}); wanted one object per line", where, failure.what()));
    }
  }
}

}  // namespace negpipe::ingest
