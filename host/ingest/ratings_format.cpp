#include "ratings_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "column_names.hpp"
#include "headerless.hpp"
#include "json_rows.hpp"
#include "missing_words.hpp"
#include "negpipe/error.hpp"
#include "separators.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::size_t none = ratings_format::none;

class detector {
 public:
  detector(const std::string& name, std::string_view text, const prepare_options& options)
      : name_(name), text_(text), options_(options) {}

  ratings_format run() && {
    check_options();
    if (text_.starts_with(byte_order_mark)) skip(byte_order_mark.size());
    if (text_.empty()) throw input_error(name_ + ": the file is empty; wanted ratings");
    if (is_json()) {
      read_json();
    } else {
      read_preamble();
      format_.syntax = separator_line_ ? *separator_line_ : choose_syntax(text_, format_.comment, options_.table);
      read_table();
    }
    check_columns();
    detect_times();
    return std::move(format_);
  }

 private:
  std::string where() const { return fmt::format("{}:{}", name_, format_.lines_before + 1); }

  void skip(std::size_t bytes) {
    format_.rows_begin += bytes;
    format_.lines_before +=
        static_cast<std::uint64_t>(std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(bytes), '\n'));
    text_.remove_prefix(bytes);
  }

  bool is_json() const {
    const std::size_t first = text_.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || !options_.table.separator.empty()) return false;
    const std::size_t second = text_.find_first_not_of(" \t\r\n", first + 1);
    const char next = second == std::string_view::npos ? '\0' : text_[second];
    if (text_[first] == '[' && (next == '{' || next == '[')) {
      throw input_error(
          fmt::format("{}: it is one JSON array; wanted one object per line: jq -c '.[]' '{}' | negpipe prepare - "
                      "--out DIR",
                      name_, name_));
    }
    if (text_[first] == '{' && next == '\'') {
      throw input_error(
          fmt::format("{}: its lines are Python dictionaries, not JSON; convert them with: python3 -c \"import "
                      "ast, json, sys; [print(json.dumps(ast.literal_eval(line))) for line in sys.stdin]\" < "
                      "'{}' | negpipe prepare - --out DIR",
                      name_, name_));
    }
    return text_[first] == '{' && (next == '"' || next == '}');
  }

  void read_json() {
    format_.shape = table_shape::json_lines;
    format_.syntax.quotes = false;  // line ends in strings are escaped: each row is a line
    skip(text_.find_first_not_of(" \t\r\n"));
    header_line_ = where();
    read_json_beginning(header_line_, text_, format_.names, rows_);
    format_.has_header = true;
    format_.column_count = format_.names.size();
    find_named_columns();
  }

  void read_table() {
    read_first_rows();
    if (is_item_lists()) {
      read_item_lists();
      return;
    }
    read_header();
    if (format_.has_header) {
      find_named_columns();
      fit_to_rows();
    } else {
      assume_columns(where(), rows_, options_, format_);
    }
  }

  /// Returns whether lines have different lengths, only numbers, and different users at their front.
  bool is_item_lists() const {
    const table_options& table = options_.table;
    if (table.layout != row_layout::detected) return table.layout == row_layout::item_lists;
    const bool chosen = !table.user_column.empty() || !table.item_column.empty() || !table.time_column.empty();
    if (chosen || table.header.value_or(false) || rows_.size() < 2) return false;
    const auto is_as_long = [&](const auto& row) { return row.size() == rows_.front().size(); };
    return may_be_item_lists(rows_) && !std::all_of(rows_.begin(), rows_.end(), is_as_long);
  }

  void read_item_lists() {
    format_.shape = table_shape::item_lists;
    format_.item = 1;
    format_.assumed = options_.table.layout == row_layout::detected ? "assumed from lines of different lengths" : "";
    if (options_.min_rating) throw input_error(where() + ": lists of items have no ratings, which `min_rating` needs");
    if (options_.table.order == row_order::file) return;
    throw input_error(where() +
                      ": a line holds a user and its items, and no times; set `order` to file if the items are in "
                      "the order of time (or see `layout` if it holds something else)");
  }

  std::size_t line_length() const { return std::min(text_.find('\n'), text_.size() - 1) + 1; }

  void check_options() const {
    const table_options& table = options_.table;
    if (table.comment.size() > 1) {
      throw option_error(fmt::format("`comment` is {}; wanted one character", in_quotes(table.comment)));
    }
    if (table.order == row_order::time) return;
    if (!table.time_column.empty()) {
      throw option_error(
          "`order` file and `time_column` exclude each other: a time column orders the rows; leave one out");
    }
    if (options_.ties == tie_order::shuffled) {
      throw option_error(
          "`order` file and `ties` shuffled exclude each other: rows in the order of the file have no ties");
    }
  }

  /// Skips Excel's separator line, KONECT's header, blank lines and comments before the table.
  void read_preamble() {
    if (!options_.table.comment.empty()) format_.comment = options_.table.comment.front();
    if (text_.starts_with("sep=") && options_.table.separator.empty()) {
      const std::string_view line = without_line_end(text_.substr(0, line_length()));
      if (line.size() == 5) {
        separator_line_ = field_syntax{static_cast<separator>(line[4]), options_.table.quotes};
        skip(line_length());
      }
    }
    for (const std::string_view kind : {"% bip", "% sym", "% asym"}) {
      if (!text_.starts_with(kind)) continue;
      format_.comment = '%';
      if (options_.table.separator.empty()) separator_line_ = field_syntax{separator::spaces, options_.table.quotes};
    }
    while (!text_.empty()) {
      const std::string_view line = without_line_end(text_.substr(0, line_length()));
      const bool blank = line.find_first_not_of(' ') == std::string_view::npos;
      const bool commented = !blank && line.front() == format_.comment;
      if (!blank && !commented && !(line.front() == '#' && is_remark(line))) break;
      skip(line_length());
    }
    if (text_.empty()) throw input_error(name_ + ": no ratings: all its lines are blank or comments");
  }

  bool is_known_header(std::string_view text) const {
    const field_syntax syntax = choose_syntax(text, '\0', options_.table);
    std::vector<std::string> names = split(without_line_end(text.substr(0, text.find('\n'))), syntax);
    std::transform(names.begin(), names.end(), names.begin(), clean_name);
    return find_column(where(), names, column_role::user) && find_column(where(), names, column_role::item);
  }

  /// Returns whether a first line that starts with "#" is a comment: then the next line has the column names. NumPy
  /// writes the column names themselves after "#".
  bool is_remark(std::string_view line) {
    if (line.starts_with("# ") && is_known_header(text_.substr(2))) {
      skip(2);
      return false;
    }
    const std::string_view below = text_.substr(line_length());
    return !below.empty() && is_known_header(below);
  }

  void read_first_rows() {
    for (const std::string_view row : first_rows(text_, format_.syntax, format_.comment)) {
      rows_.push_back(split(row, format_.syntax));
    }
    field_cursor cursor(without_line_end(text_.substr(0, std::min(row_length(text_, format_.syntax), text_.size()))),
                        format_.syntax);
    while (cursor.next()) {
    }
    if (cursor.broken_quotes()) {
      throw input_error(
          fmt::format("{}:{}: a quoted field does not end before the next separator", where(), cursor.column()));
    }
    format_.column_count = rows_.front().size();
  }

  /// Reads the header, if the first row is one.
  void read_header() {
    std::vector<std::string> names;
    std::transform(rows_.front().begin(), rows_.front().end(), std::back_inserter(names), clean_name);
    format_.has_header = options_.table.header ? *options_.table.header : is_header(names);
    if (!format_.has_header) return;
    const std::size_t length = std::min(row_length(text_, format_.syntax), text_.size());
    format_.header = without_line_end(text_.substr(0, length));
    format_.names = std::move(names);
    header_line_ = where();
    skip(length);
    rows_.erase(rows_.begin());
  }

  bool is_header(const std::vector<std::string>& names) const {
    const table_options& table = options_.table;
    for (const std::string* choice : {&table.user_column, &table.item_column, &table.time_column}) {
      if (names_column(names, *choice)) return true;
    }
    const std::string here = where();
    if (find_column(here, names, column_role::user) && find_column(here, names, column_role::item)) return true;
    // A line of words before lines with numbers is a header, also with unknown names.
    if (std::any_of(names.begin(), names.end(), is_time) || names.size() < 2) return false;
    return rows_.size() == 1 || std::any_of(rows_[1].begin(), rows_[1].end(), is_time);
  }

  std::size_t find_named(column_role role, const std::string& choice) const {
    if (!choice.empty()) return chosen_column(header_line_, format_.names, format_.column_count, role, choice);
    return find_column(header_line_, format_.names, role).value_or(none);
  }

  void find_named_columns() {
    const table_options& table = options_.table;
    format_.user = find_named(column_role::user, table.user_column);
    format_.item = find_named(column_role::item, table.item_column);
    if (format_.user == none) refuse_missing(column_role::user);
    if (format_.item == none) refuse_missing(column_role::item);
    if (table.order == row_order::time) format_.timestamp = find_named(column_role::time, table.time_column);
    // A column that is named must exist, even where its values are not needed.
    if (options_.min_rating || !table.rating_column.empty()) {
      format_.rating = find_named(column_role::rating, table.rating_column);
    }
  }

  /// R writes row names without a name for their column; some programs end each row with a separator.
  void fit_to_rows() {
    const std::size_t count = format_.column_count;
    const bool one_more = !rows_.empty() && std::all_of(rows_.begin(), rows_.end(),
                                                        [&](const auto& row) { return row.size() == count + 1; });
    if (!one_more) return;
    format_.column_count = count + 1;
    if (std::all_of(rows_.begin(), rows_.end(), [](const auto& row) { return row.back().empty(); })) return;
    bool row_names = true;
    for (std::size_t i = 0; i < rows_.size(); ++i) row_names = row_names && rows_[i].front() == std::to_string(i + 1);
    if (!row_names) {
      format_.column_count = count;
      return;
    }
    for (std::size_t* column : {&format_.user, &format_.item, &format_.timestamp, &format_.rating}) {
      if (*column != none) ++*column;
    }
    format_.names.insert(format_.names.begin(), "row name");
  }

  [[noreturn]] void refuse_missing(column_role role) const {
    const std::string found = in_quotes(fmt::format("{}", fmt::join(format_.names, ", ")));
    throw input_error(
        fmt::format("{}: no {} column among {}; name it with `{}_column` (a name, or a number from 1), or "
                    "see `header` if this line is a rating",
                    header_line_, name_of(role), found, name_of(role)));
  }

  void check_columns() {
    if (format_.shape == table_shape::item_lists) return;
    if (options_.table.order == row_order::file) format_.timestamp = none;
    if (!options_.min_rating) format_.rating = none;
    const std::string at = format_.has_header ? header_line_ : where();
    const auto found = [&] {
      return format_.has_header ? fmt::format(" among {}", in_quotes(fmt::format("{}", fmt::join(format_.names, ", "))))
                                : fmt::format(" among {} columns", format_.column_count);
    };
    if (options_.table.order == row_order::time && !format_.has_time()) {
      throw input_error(
          fmt::format("{}: no time column{}; choose one with `time_column`, or set `order` to file if the rows of "
                      "each user are in the order of time{}",
                      at, found(), format_.has_header ? "" : layout_hint(rows_)));
    }
    if (options_.min_rating && format_.rating == none) {
      throw input_error(fmt::format("{}: no rating column{}, which `min_rating` needs; choose one with `rating_column`",
                                    at, found()));
    }
    const auto same = [](std::size_t a, std::size_t b) { return a == b && a != none; };
    if (format_.user == format_.item || same(format_.timestamp, format_.user) ||
        same(format_.timestamp, format_.item)) {
      throw input_error(fmt::format("{}: user, item and time are not three columns but {}, {} and {}; choose others",
                                    at, format_.user + 1, format_.item + 1, format_.timestamp + 1));
    }
  }

  void detect_times() {
    if (!format_.has_time()) return;
    const missing_words words(options_.table.na_values);
    for (const auto& row : rows_) {
      if (format_.timestamp >= row.size() || words.contains(row[format_.timestamp])) continue;
      instant time;
      if (parse_number(row[format_.timestamp], time)) {
        set_unit(time.whole);
      } else if (parse_date(row[format_.timestamp], time)) {
        format_.times = time_format::date;
        format_.time_unit = "dates, UTC without a zone";
      }
      return;
    }
  }

  void set_unit(std::int64_t time) {
    format_.times_per_second = guess_times_per_second(time);
    switch (format_.times_per_second) {
      case 1:
        format_.time_unit = "numbers, as seconds since 1970";
        break;
      case 1'000:
        format_.time_unit = "numbers, as milliseconds since 1970";
        break;
      case 1'000'000:
        format_.time_unit = "numbers, as microseconds since 1970";
        break;
      case 1'000'000'000:
        format_.time_unit = "numbers, as nanoseconds since 1970";
        break;
      default:
        format_.time_unit = "numbers";
    }
  }

  const std::string& name_;
  std::string_view text_;
  const prepare_options& options_;
  std::optional<field_syntax> separator_line_;
  std::vector<std::vector<std::string>> rows_;
  std::string header_line_;
  ratings_format format_;
};

std::string describe_column(const ratings_format& format, std::size_t column) {
  if (column == none) return {};
  if (column < format.names.size()) return fmt::format("{} (column {})", format.names[column], column + 1);
  return fmt::format("column {}", column + 1);
}

std::string format_of(const ratings_format& format) {
  switch (format.shape) {
    case table_shape::item_lists:
      return fmt::format("one user and its items per line, separated by {}", name_of(format.syntax.by));
    case table_shape::json_lines:
      return "JSON lines";
    case table_shape::table:
      break;
  }
  return fmt::format("{} columns separated by {}, {}", format.column_count, name_of(format.syntax.by),
                     format.has_header ? "with a header" : "no header");
}

}  // namespace

ratings_format detect_format(const std::string& name, std::string_view text, const prepare_options& options) {
  return detector(name, text, options).run();
}

detected_table describe(const ratings_format& format, const prepare_options& options) {
  detected_table table;
  table.format = format_of(format);
  table.user_column = describe_column(format, format.user);
  table.item_column = describe_column(format, format.item);
  table.time_column = describe_column(format, format.timestamp);
  table.rating_column = describe_column(format, format.rating);
  table.times = options.table.order == row_order::file ? "order of the file" : format.time_unit;
  table.assumed = format.assumed;
  return table;
}

}  // namespace negpipe::ingest
