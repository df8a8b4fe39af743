// Reads ratings from columns in memory.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "block_builder.hpp"
#include "collector.hpp"
#include "negpipe/error.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::uint64_t rows_per_block = std::uint64_t{1} << 16;

/// Checks the caller's offsets of a text column, which may have any value.
void check_text(const rating_table& table, const char* column, const raw_ids& ids) {
  if (!ids.is_text()) return;
  const auto offsets = ids.numbers_or_offsets();
  if (offsets.front() < 0 || static_cast<std::uint64_t>(offsets.back()) > ids.bytes().size() ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    throw input_error(fmt::format("{}: the offsets of {} do not ascend within {} bytes of text", table.name, column,
                                  ids.bytes().size()));
  }
}

void check_table(const rating_table& table, const prepare_options& options) {
  const std::size_t rows = table.users.size();
  const auto check = [&](const char* column, std::size_t size) {
    if (size == rows) return;
    throw input_error(
        fmt::format("{}: {} values of {} for {} users; wanted one per row", table.name, size, column, rows));
  };
  check("items", table.items.size());
  if (options.table.order == row_order::time) {
    if (table.times.empty() && rows != 0) {
      throw input_error(
          fmt::format("{}: no times; give them, or set `order` to file if the rows of each user are in "
                      "the order of time",
                      table.name));
    }
    check("times", table.times.size());
  }
  if (options.min_rating) check("ratings, which `min_rating` needs,", table.ratings.size());
  if (!table.valid.empty()) check("valid", table.valid.size());
  check_text(table, "users", table.users);
  check_text(table, "items", table.items);
}

std::string_view text_of(const raw_ids& ids, std::uint64_t row) {
  const auto begin = static_cast<std::size_t>(ids.numbers_or_offsets()[row]);
  const auto end = static_cast<std::size_t>(ids.numbers_or_offsets()[row + 1]);
  return {ids.bytes().data() + begin, end - begin};
}

/// One block of rows.
class column_block {
 public:
  column_block(const rating_table& table, const ratings_format& format, const row_rules& rules, std::uint64_t begin,
               std::uint64_t end)
      : table_(table),
        begin_(begin),
        end_(end),
        out_(format, rules, kind_of(table.users), kind_of(table.items), end - begin),
        has_time_(format.has_time()),
        has_rating_(rules.min_rating.has_value()) {}

  static id_kind kind_of(const raw_ids& ids) { return ids.is_text() ? id_kind::text : id_kind::number; }

  parsed_block parse() && {
    std::uint64_t& line = out_.block().line_count;
    for (std::uint64_t row = begin_; row < end_; ++row, ++line) {
      if (parse_row(row)) {
        out_.finish_row();
      } else if (out_.stopped()) {
        out_.block().stop.line = line;
        break;
      }
    }
    return std::move(out_.block());
  }

 private:
  bool parse_row(std::uint64_t row) {
    if (!table_.valid.empty() && table_.valid[row] == 0) return out_.drop_missing("value");
    const raw_ids& users = table_.users;
    const raw_ids& items = table_.items;
    return (users.is_text() ? out_.take_user(text_of(users, row), 0)
                            : out_.take_user(users.numbers_or_offsets()[row])) &&
           (items.is_text() ? out_.take_item(text_of(items, row), 0)
                            : out_.take_item(items.numbers_or_offsets()[row])) &&
           (!has_rating_ || out_.take_rating(table_.ratings[row])) &&
           (!has_time_ || out_.take_time(instant{table_.times[row], 0}));
  }

  const rating_table& table_;
  std::uint64_t begin_;
  std::uint64_t end_;
  block_builder out_;
  bool has_time_;
  bool has_rating_;
};

detected_table describe_columns(const rating_table& table, const prepare_options& options) {
  const auto kind = [](const raw_ids& ids) { return ids.is_text() ? "text" : "numbers"; };
  return {.format = fmt::format("{} rows in memory", table.users.size()),
          .user_column = "users",
          .item_column = "items",
          .time_column = options.table.order == row_order::file ? "" : "times",
          .rating_column = options.min_rating ? "ratings" : "",
          .user_ids = kind(table.users),
          .item_ids = kind(table.items),
          .times = options.table.order == row_order::file ? "order of the rows" : "numbers"};
}

void check_kinds(std::span<const rating_table> tables) {
  for (const rating_table& table : tables.subspan(1)) {
    const bool other_users = table.users.is_text() != tables[0].users.is_text();
    if (!other_users && table.items.is_text() == tables[0].items.is_text()) continue;
    throw input_error(fmt::format(
        "{}: the {} are of another type than those of {}; numbers or text in all tables wanted", table.name,
        other_users ? "users" : "items", tables[0].name));
  }
}

void read_table(const rating_table& table, const ratings_format& format, const row_rules& rules,
                support::thread_pool& pool, const run_control& control, collector& all) {
  const std::uint64_t rows = table.users.size();
  const std::uint64_t wave = rows_per_block * pool.thread_count();
  for (std::uint64_t begin = 0; begin < rows; begin += wave) {
    control.throw_if_stopped();
    control.report({"reading ratings", "rows", begin, rows});
    const std::uint64_t end = std::min(rows, begin + wave);
    std::vector<std::optional<parsed_block>> blocks((end - begin + rows_per_block - 1) / rows_per_block);
    pool.for_each(blocks.size(), [&](std::uint64_t i) {
      const std::uint64_t first = begin + i * rows_per_block;
      blocks[i] = column_block(table, format, rules, first, std::min(end, first + rows_per_block)).parse();
    });
    for (const auto& block : blocks) all.append(*block);
  }
}

}  // namespace

ratings read_columns(std::span<const rating_table> tables, const prepare_options& options, const run_control& control) {
  const rating_table& first = tables.front();
  for (const rating_table& table : tables) check_table(table, options);
  check_kinds(tables);
  const row_rules rules{missing_words(options.table.na_values), options.table.missing, options.min_rating};
  ratings_format format;
  if (options.table.order == row_order::time) format.timestamp = 0;
  collector all(column_block::kind_of(first.users), column_block::kind_of(first.items));
  all.result().name = first.name;
  all.result().detected = describe_columns(first, options);
  if (!first.times.empty()) all.result().times_per_second = guess_times_per_second(first.times.front());
  support::thread_pool pool(control.thread_count());
  for (const rating_table& table : tables) {
    all.begin_part(std::string(table.name), row_locations::unit::row, 0);
    read_table(table, format, rules, pool, control, all);
  }
  return std::move(all.result());
}

}  // namespace negpipe::ingest
