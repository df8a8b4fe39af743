#include "ratings_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

struct column_names {
  std::string_view what;
  std::array<std::string_view, 2> names;
};

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::vector<std::string> split(const std::filesystem::path& path, std::string_view line, separator by) {
  std::vector<std::string> fields;
  field_cursor cursor(line, by);
  while (cursor.next()) fields.emplace_back(trimmed(cursor.text()));
  if (cursor.broken_quotes()) {
    throw input_error(fmt::format("{}:1:{}: a quoted column name does not end before the next comma", path.string(),
                                  cursor.column()));
  }
  return fields;
}

std::size_t find_column(const std::filesystem::path& path, const std::vector<std::string>& fields,
                        const column_names& wanted) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (std::find(wanted.names.begin(), wanted.names.end(), fields[i]) == wanted.names.end()) continue;
    if (found) {
      throw input_error(fmt::format("{}:1: two {} columns, {} and {}; rename or remove one", path.string(), wanted.what,
                                    *found + 1, i + 1));
    }
    found = i;
  }
  if (!found) {
    throw input_error(
        fmt::format("{}:1: no {} column: found {}; wanted a header with the columns user_id (or "
                    "userId), item_id (or movieId) and timestamp, in any order",
                    path.string(), wanted.what, in_quotes(fmt::format("{}", fmt::join(fields, ", ")))));
  }
  return *found;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789", text.starts_with('-') ? 1 : 0) == std::string_view::npos;
}

}  // namespace

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

ratings_format detect_format(const std::filesystem::path& path, std::string_view text) {
  ratings_format format;
  if (text.starts_with(byte_order_mark)) {
    format.header_bytes = byte_order_mark.size();
    text.remove_prefix(byte_order_mark.size());
  }
  if (text.empty()) throw input_error(path.string() + ": the file is empty; wanted ratings");
  const std::string_view whole_line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
  const std::string_view line = without_line_end(whole_line);
  if (line.find("::") != std::string_view::npos) {
    format.by = separator::double_colon;
  } else if (line.find('\t') != std::string_view::npos) {
    format.by = separator::tab;
  }
  const std::vector<std::string> fields = split(path, line, format.by);
  format.column_count = fields.size();
  format.has_header = format.by == separator::comma || (format.by == separator::tab && !is_number(fields.front()));
  if (format.has_header) {
    format.user = find_column(path, fields, {"user", {"user_id", "userId"}});
    format.item = find_column(path, fields, {"item", {"item_id", "movieId"}});
    format.timestamp = find_column(path, fields, {"timestamp", {"timestamp", "timestamp"}});
    format.header_bytes += whole_line.size();
  } else {
    format.column_count = 4;  // MovieLens: user, item, rating, timestamp
    format.item = 1;
    format.timestamp = 3;
  }
  return format;
}

}  // namespace negpipe::ingest
