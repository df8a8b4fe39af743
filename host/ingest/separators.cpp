#include "separators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "column_names.hpp"
#include "negpipe/error.hpp"
#include "ratings_format.hpp"

namespace negpipe::ingest {

namespace {

bool has_known_names(const std::vector<std::string>& fields) {
  std::vector<std::string> names;
  std::transform(fields.begin(), fields.end(), std::back_inserter(names), clean_name);
  try {
    return find_column({}, names, column_role::user) && find_column({}, names, column_role::item);
  } catch (const input_error&) {
    return true;  // more than one known name
  }
}

/// Quality of a split; compared from left to right.
using split_score = std::tuple<bool, bool, bool, std::size_t>;

/// Returns how well a separator splits the first rows.
split_score score(std::string_view text, char comment, field_syntax syntax) {
  const auto rows = first_rows(text, syntax, comment);
  if (rows.empty()) return {};
  const auto first = split(rows.front(), syntax);
  std::size_t equal = 0;
  for (const std::string_view row : rows) equal += split(row, syntax).size() == first.size() ? 1U : 0U;
  constexpr std::size_t min_equal_of_ten = 8;
  const bool several = first.size() > 1;
  return {several && has_known_names(first), several && equal * 10 >= rows.size() * min_equal_of_ten,
          several && syntax.by != separator::spaces, several ? first.size() : 0};
}

field_syntax syntax_of(separator by, const table_options& options) {
  return {by, options.quotes && by != separator::double_colon};
}

separator parse_separator(const std::string& text) {
  if (text == "::") return separator::double_colon;
  if (text == "\\t" || text == "tab") return separator::tab;
  if (text == "space") return separator::spaces;
  const bool usable = text.size() == 1 && text[0] != '"' && text[0] != '\n' && text[0] != '\r' && text[0] > '\1';
  if (!usable) {
    throw option_error(
        fmt::format("`separator` is {}; wanted one character (\\t or tab for a tab, a space for runs of "
                    "spaces) or ::",
                    in_quotes(text)));
  }
  return static_cast<separator>(text[0]);
}

}  // namespace

std::vector<std::string> split(std::string_view row, field_syntax syntax) {
  std::vector<std::string> fields;
  field_cursor cursor(row, syntax);
  while (cursor.next()) fields.emplace_back(trimmed(cursor.text()));
  return fields;
}

std::vector<std::string_view> first_rows(std::string_view text, field_syntax syntax, char comment,
                                         std::size_t max_rows) {
  std::vector<std::string_view> rows;
  while (!text.empty() && rows.size() < max_rows) {
    const bool skipped = comment != '\0' && text.front() == comment;
    const std::size_t newline = skipped ? text.find('\n') : row_length(text, syntax) - 1;
    const bool whole = newline < text.size();
    const std::size_t end = whole ? newline + 1 : text.size();
    const std::string_view row = without_line_end(text.substr(0, end));
    text.remove_prefix(end);
    const bool blank = row.find_first_not_of(' ') == std::string_view::npos;
    if (!skipped && !blank) rows.push_back(row);
  }
  return rows;
}

field_syntax choose_syntax(std::string_view text, char comment, const table_options& options) {
  if (!options.separator.empty()) return syntax_of(parse_separator(options.separator), options);
  constexpr std::array candidates = {separator::comma,     separator::double_colon, separator::tab,
                                     separator::semicolon, separator::pipe,         separator::spaces};
  field_syntax best = syntax_of(separator::comma, options);
  split_score best_score = score(text, comment, best);
  for (const separator by : candidates) {
    const field_syntax syntax = syntax_of(by, options);
    if (const split_score found = score(text, comment, syntax); found > best_score) {
      best = syntax;
      best_score = found;
    }
  }
  return best;
}

std::string name_of(separator by) {
  switch (by) {
    case separator::double_colon:
      return "\"::\"";
    case separator::comma:
      return "commas";
    case separator::semicolon:
      return "semicolons";
    case separator::tab:
      return "tabs";
    case separator::pipe:
      return "pipes";
    case separator::spaces:
      return "spaces";
  }
  return in_quotes(std::string(1, static_cast<char>(by)));
}

}  // namespace negpipe::ingest
