#include "row_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "block_builder.hpp"
#include "item_lists.hpp"
#include "json_rows.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

class table_parser {
 public:
  table_parser(const ratings_format& format, block_builder& out) : format_(format), out_(out) {}

  void parse(std::string_view text) {
    std::uint64_t& line = out_.block().line_count;
    const bool quotes = format_.syntax.quotes && text.find('"') != std::string_view::npos;
    while (!text.empty()) {
      std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
      std::uint64_t lines = 1;
      if (const std::string_view row = without_line_end(text.substr(0, end)); holds_no_row(row)) {
        out_.skip_line();
      } else if (quotes && row.find('"') != std::string_view::npos) {
        end = std::min(row_length(text, format_.syntax), text.size());
        lines = parse_quoted(text.substr(0, end));
      } else {
        parse_row(row);
      }
      if (out_.stopped()) {
        out_.block().stop.line = line;
        return;
      }
      line += lines;
      text.remove_prefix(end);
    }
  }

 private:
  using reason = parse_stop::reason;

  bool holds_no_row(std::string_view line) const {
    if (line.empty() || line.front() == format_.comment) return true;
    if (line.size() == format_.header.size() && line == format_.header) return true;  // files concatenated by cat
    return line.front() == ' ' && line.find_first_not_of(' ') == std::string_view::npos;
  }

  /// Parses a row that may have line ends in its fields. Returns its number of lines.
  std::uint64_t parse_quoted(std::string_view row) {
    auto lines = static_cast<std::uint64_t>(std::count(row.begin(), row.end(), '\n'));
    if (!row.ends_with('\n')) ++lines;
    parse_row(without_line_end(row));
    if (lines > 1 && !out_.stopped()) out_.add_blank_lines(lines - 1);
    return lines;
  }

  void parse_row(std::string_view line) {
    field_cursor field(line, format_.syntax);
    std::size_t count = 0;
    for (; field.next(); ++count) {
      if (count == format_.user) {
        if (!out_.take_user(field.text(), field.column())) return;
      } else if (count == format_.item) {
        if (!out_.take_item(field.text(), field.column())) return;
      } else if (count == format_.timestamp) {
        if (!out_.take_time(field.text(), field.column())) return;
      } else if (count == format_.rating) {
        if (!out_.take_rating(field.text(), field.column())) return;
      }
    }
    if (field.broken_quotes()) {
      refuse_quotes(field);
    } else if (count != format_.column_count) {
      out_.stop(reason::error, 1, fmt::format("found {} fields, wanted {}", count, format_.column_count));
    } else {
      out_.finish_row();
    }
  }

  void refuse_quotes(const field_cursor& field) {
    out_.stop(reason::error, field.column(),
              "a quoted field does not end before the next separator; write quotes within quotes twice, or read quotes "
              "as plain characters (`quotes`)");
  }

  const ratings_format& format_;
  block_builder& out_;
};

}  // namespace

row_rules rules_of(const prepare_options& options) {
  if (options.min_rating && std::isnan(*options.min_rating)) {
    throw option_error("min_rating", "nan given, a number wanted");
  }
  return {missing_words(options.table.na_values), options.table.missing, options.min_rating};
}

parsed_block parse_block(const ratings_format& format, const row_rules& rules, std::string_view text, id_kind user_kind,
                         id_kind item_kind) {
  block_builder out(format, rules, user_kind, item_kind, text.size() / 16);
  switch (format.shape) {
    case table_shape::table:
      table_parser(format, out).parse(text);
      break;
    case table_shape::item_lists:
      parse_item_lists(format, text, out);
      break;
    case table_shape::json_lines:
      parse_json_rows(format, text, out);
      break;
  }
  return std::move(out.block());
}

}  // namespace negpipe::ingest
