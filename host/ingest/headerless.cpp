#include "headerless.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>

#include "column_names.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

using table_rows = std::vector<std::vector<std::string>>;

constexpr std::size_t none = ratings_format::none;

/// Properties of the values of a column, over the rows that have it.
struct column_look {
  bool dates = true;
  bool numbers = true;
  instant lowest;
  instant highest;

  column_look(const table_rows& rows, std::size_t column) {
    bool first = true;
    for (const auto& row : rows) {
      if (column >= row.size() || row[column].empty()) continue;
      instant value;
      dates = dates && parse_date(row[column], value);
      numbers = numbers && parse_number(row[column], value);
      lowest = first ? value : std::min(lowest, value);
      highest = first ? value : std::max(highest, value);
      first = false;
    }
    dates = dates && !first;
    numbers = numbers && !first;
  }

  /// Times are large and close together; play counts and ratings start near 0.
  bool is_time() const {
    constexpr std::int64_t least = 1000;
    return dates || (numbers && lowest.whole >= least && highest.whole / 2 <= lowest.whole);
  }
};

[[noreturn]] void refuse_layout(const std::string& where, const table_rows& rows) {
  std::string shown;
  for (std::size_t i = 0; i < rows.front().size() && i < 12; ++i) {
    shown += fmt::format("{}{}: {}", i == 0 ? "" : ", ", i + 1, rows.front()[i]);
  }
  throw input_error(
      fmt::format("{}: no header, and no known order of {} columns ({}); choose the columns by number with "
                  "`user_column`, `item_column` and `time_column`{}",
                  where, rows.front().size(), in_quotes(shown), layout_hint(rows)));
}

[[noreturn]] void refuse_line(const std::string& where, const table_rows& rows) {
  const std::string& line = rows.front().front();
  const std::string_view hint =
      line.ends_with(':') ? "it looks like the Netflix Prize's blocks (\"item:\", then its ratings): write a row "
                            "\"user,item,rating,date\" for each rating first"
                          : "wanted a row for each rating, with user and item; if the first lines are no rows, remove "
                            "them (tail -n +N FILE | negpipe prepare - ...)";
  throw input_error(fmt::format("{}: the line has one field, {}; {}", where, in_quotes(line), hint));
}

/// Returns whether a text has the form "(user,item)", the first field of NCF's lists of negatives.
void refuse_negatives(const std::string& where, const std::string& first) {
  if (!first.starts_with('(') || !first.ends_with(')') || first.find_first_not_of("(0123456789,)") != first.npos)
    return;
  throw input_error(
      fmt::format("{}: the row begins with {}: it looks like NCF's list of evaluation negatives; wanted "
                  "ratings, such as the file that ends in .train.rating",
                  where, in_quotes(first)));
}

bool is_behaviour(const std::string& text) {
  constexpr std::array<std::string_view, 4> taobao = {"pv", "buy", "cart", "fav"};
  return std::find(taobao.begin(), taobao.end(), text) != taobao.end();
}

struct layout {
  std::size_t user = 0;
  std::size_t item = 1;
  std::size_t time = none;
  std::size_t rating = none;
};

std::optional<layout> known_layout(const table_rows& rows) {
  const auto look = [&](std::size_t column) { return column_look(rows, column); };
  switch (rows.front().size()) {
    case 2:
      return layout{};
    case 3:
      return look(2).is_time() ? layout{.time = 2} : layout{.rating = 2};
    case 4: {
      const column_look third = look(2);
      const column_look fourth = look(3);
      const bool swapped = (third.dates && !fourth.dates) || (third.numbers && fourth.numbers &&
                                                              third.lowest.whole > 10 && fourth.highest < third.lowest);
      return swapped ? layout{.time = 2, .rating = 3} : layout{.time = 3, .rating = 2};
    }
    case 5:
      if (look(1).dates && look(2).numbers && look(3).numbers) return layout{.item = 4, .time = 1};
      if (std::all_of(rows.begin(), rows.end(),
                      [](const auto& row) { return row.size() > 3 && is_behaviour(row[3]); })) {
        return layout{.time = 4};
      }
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

std::string list_of(const ratings_format& format) {
  std::string list = fmt::format("column {} is the user, {} the item", format.user + 1, format.item + 1);
  if (format.rating != none) list += fmt::format(", {} the rating", format.rating + 1);
  if (format.has_time()) list += fmt::format(", {} the time", format.timestamp + 1);
  return list;
}

}  // namespace

bool may_be_item_lists(const std::vector<std::vector<std::string>>& rows) {
  std::set<std::string> users;
  const auto is_id = [](const std::string& field) {
    return field.find_first_not_of("0123456789") == std::string::npos;
  };
  return std::all_of(rows.begin(), rows.end(), [&](const auto& row) {
    return !row.empty() && std::all_of(row.begin(), row.end(), is_id) && users.insert(row.front()).second;
  });
}

std::string_view layout_hint(const std::vector<std::vector<std::string>>& rows) {
  if (rows.size() < 2 || rows.front().size() < 3 || !may_be_item_lists(rows)) return "";
  return "; if each line holds a user and its items, set `layout` to item-lists";
}

bool is_time(const std::string& text) {
  instant value;
  return parse_number(text, value) || parse_date(text, value);
}

void assume_columns(const std::string& where, const std::vector<std::vector<std::string>>& rows,
                    const prepare_options& options, ratings_format& format) {
  const table_options& table = options.table;
  if (rows.front().size() < 2) refuse_line(where, rows);
  refuse_negatives(where, rows.front().front());
  const auto chosen = [&](column_role role, const std::string& choice, std::size_t otherwise) {
    return choice.empty() ? otherwise : chosen_column(where, {}, rows.front().size(), role, choice);
  };
  std::optional<layout> assumed = known_layout(rows);
  // A date is no id, and a table whose time comes first may have any order.
  if (assumed && (column_look(rows, assumed->user).dates || column_look(rows, assumed->item).dates)) assumed.reset();
  const bool all_chosen = !table.user_column.empty() && !table.item_column.empty();
  if (!assumed || !table.user_column.empty() || !table.item_column.empty()) {
    if (!all_chosen) refuse_layout(where, rows);
    assumed = layout{.user = none, .item = none};
  }
  format.user = chosen(column_role::user, table.user_column, assumed->user);
  format.item = chosen(column_role::item, table.item_column, assumed->item);
  format.rating = chosen(column_role::rating, table.rating_column, assumed->rating);
  format.timestamp = chosen(column_role::time, table.time_column, assumed->time);
  if (format.rating == format.timestamp) {
    if (table.rating_column.empty()) format.rating = none;
    if (table.time_column.empty()) format.timestamp = none;
  }
  if (!all_chosen) {
    format.assumed = fmt::format("the file does not name its columns; assumed that {}", list_of(format));
  }
}

}  // namespace negpipe::ingest
