#include "item_lists.hpp"

#include <algorithm>
#include <string>

namespace negpipe::ingest {

namespace {

constexpr std::uint64_t one_line_back = ~std::uint64_t{0};  // numbers of lines are counted modulo 2^64

void parse_line(const ratings_format& format, std::string_view line, block_builder& out) {
  field_cursor field(line, format.syntax);
  if (!field.next()) {
    if (!field.broken_quotes()) return out.skip_line();
  } else {
    const std::string user(field.text());
    const std::size_t column = field.column();
    bool first = true;
    while (field.next()) {
      if (field.text().empty()) continue;  // a separator at the end of the line
      if (!first) out.add_blank_lines(one_line_back);
      first = false;
      if (!out.take_user(user, column) || !out.take_item(field.text(), field.column())) {
        if (out.stopped()) return;
        continue;
      }
      out.finish_row();
    }
    if (first) out.skip_line();
  }
  if (field.broken_quotes()) {
    out.stop(parse_stop::reason::error, field.column(), "a quoted field does not end before the next separator");
  }
}

}  // namespace

void parse_item_lists(const ratings_format& format, std::string_view text, block_builder& out) {
  std::uint64_t& line = out.block().line_count;
  for (; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view row = without_line_end(text.substr(0, end));
    if (row.empty() || row.front() == format.comment) {
      out.skip_line();
    } else {
      parse_line(format, row, out);
    }
    if (out.stopped()) {
      out.block().stop.line = line;
      return;
    }
    text.remove_prefix(end);
  }
}

}  // namespace negpipe::ingest
