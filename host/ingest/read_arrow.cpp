// Reads ratings from Arrow streams.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "arrow_column.hpp"
#include "block_builder.hpp"
#include "collector.hpp"
#include "column_names.hpp"
#include "negpipe/arrow.hpp"
#include "negpipe/error.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::int64_t rows_per_block = std::int64_t{1} << 16;

template <typename Struct>
struct releasing : Struct {
  releasing() : Struct{} {}
  releasing(releasing&& other) noexcept : Struct(other) { other.release = nullptr; }
  ~releasing() {
    if (this->release != nullptr) this->release(this);
  }
};

/// The columns of one table: which they are, and all its arrays.
struct opened_table {
  std::string name;
  releasing<ArrowSchema> schema;
  std::vector<releasing<ArrowArray>> arrays;
  std::size_t user = 0;
  std::size_t item = 0;
  std::optional<std::size_t> time;
  std::optional<std::size_t> rating;

  const ArrowSchema& column(std::size_t i) const { return *schema.children[i]; }
  arrow_type type(std::size_t i) const { return arrow_type::of(column(i)); }
  std::int64_t row_count() const {
    std::int64_t rows = 0;
    for (const auto& array : arrays) rows += array.length;
    return rows;
  }
  std::string describe(std::size_t i) const { return fmt::format("{} (column {})", column(i).name, i + 1); }
};

void check(ArrowArrayStream& stream, int code, const std::string& name) {
  if (code == 0) return;
  const char* message = stream.get_last_error(&stream);
  throw io_error(fmt::format("{}: the Arrow stream failed: {}", name, message == nullptr ? "no message" : message));
}

opened_table read_stream(const arrow_table& table) {
  opened_table opened{.name = std::string(table.name)};
  ArrowArrayStream& stream = *table.stream;
  check(stream, stream.get_schema(&stream, &opened.schema), opened.name);
  if (std::string_view(opened.schema.format) != "+s") {
    throw input_error(fmt::format("{}: an array of type {}; wanted a table", opened.name, opened.schema.format));
  }
  for (;;) {
    releasing<ArrowArray> array;
    check(stream, stream.get_next(&stream, &array), opened.name);
    if (array.release == nullptr) return opened;
    opened.arrays.push_back(std::move(array));
  }
}

void refuse_type(const opened_table& table, std::size_t column, std::string_view wanted) {
  throw input_error(fmt::format("{}: the column {} has the Arrow type {}; wanted {}", table.name,
                                table.column(column).name, table.type(column).format, wanted));
}

void find_columns(opened_table& table, const prepare_options& options) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < table.schema.n_children; ++i) {
    const char* name = table.schema.children[i]->name;
    names.push_back(clean_name(name == nullptr ? "" : name));
  }
  const auto find = [&](column_role role, const std::string& choice) -> std::optional<std::size_t> {
    if (!choice.empty()) return chosen_column(table.name, names, names.size(), role, choice);
    return find_column(table.name, names, role);
  };
  const auto need = [&](column_role role, const std::string& choice) {
    if (const auto found = find(role, choice)) return *found;
    const bool is_time = role == column_role::time;
    throw input_error(fmt::format(
        "{}: no column is known as {} column; the columns are {}; choose one with `{}_column`{}", table.name,
        name_of(role), fmt::join(names, ", "), name_of(role),
        is_time ? ", or set `order` to file if each user's rows are in the order of time" : ""));
  };
  table.user = need(column_role::user, options.table.user_column);
  table.item = need(column_role::item, options.table.item_column);
  if (options.table.order == row_order::time) table.time = need(column_role::time, options.table.time_column);
  // A column that is named must exist, even where its values are not needed.
  if (options.min_rating || !options.table.rating_column.empty()) {
    table.rating = need(column_role::rating, options.table.rating_column);
  }
  if (!options.min_rating) table.rating.reset();
  for (const std::size_t id : {table.user, table.item}) {
    if (!table.type(id).is_integer() && !table.type(id).is_text()) refuse_type(table, id, "integers or text");
  }
  if (table.time && table.type(*table.time).kind == arrow_kind::other) {
    refuse_type(table, *table.time, "timestamps, dates, numbers or text");
  }
  if (table.rating && !table.type(*table.rating).is_number()) refuse_type(table, *table.rating, "numbers");
}

bool has_wide_values(const opened_table& table, std::size_t column) {
  const arrow_type type = table.type(column);
  if (type.kind != arrow_kind::uint64) return false;
  return std::ranges::any_of(table.arrays, [&](const ArrowArray& array) {
    const arrow_column values(*array.children[column], type, array.offset);
    for (std::int64_t row = 0; row < array.length; ++row) {
      if (values.is_valid(row) && values.integer(row) < 0) return true;
    }
    return false;
  });
}

/// Returns the kind of a column of ids in all tables.
id_kind kind_of(const std::vector<opened_table>& tables, std::size_t opened_table::* column) {
  const bool text = tables[0].type(tables[0].*column).is_text();
  bool wide = false;
  for (const opened_table& table : tables) {
    const std::size_t i = table.*column;
    if (table.type(i).is_text() != text) refuse_type(table, i, "the type that it has in " + tables[0].name);
    wide = wide || has_wide_values(table, i);
  }
  return text || wide ? id_kind::text : id_kind::number;
}

/// The rows of one array.
class array_reader {
 public:
  array_reader(const opened_table& table, const ArrowArray& array, block_builder& out)
      : out_(out),
        users_(column_of(table, array, table.user)),
        items_(column_of(table, array, table.item)),
        user_type_(table.type(table.user)),
        item_type_(table.type(table.item)) {
    if (table.time) {
      times_.emplace(column_of(table, array, *table.time));
      text_times_ = table.type(*table.time).is_text();
    }
    if (table.rating) ratings_.emplace(column_of(table, array, *table.rating));
  }

  void read(std::int64_t begin, std::int64_t end, id_kind user_kind, id_kind item_kind) {
    std::uint64_t& line = out_.block().line_count;
    for (std::int64_t row = begin; row < end; ++row, ++line) {
      if (read_id(users_, user_type_, user_kind, row, "user id", [&](auto id) { return take_user(id); }) &&
          read_id(items_, item_type_, item_kind, row, "item id", [&](auto id) { return take_item(id); }) &&
          read_rating(row) && read_time(row)) {
        out_.finish_row();
      } else if (out_.stopped()) {
        out_.block().stop.line = line;
        return;
      }
    }
  }

 private:
  static arrow_column column_of(const opened_table& table, const ArrowArray& array, std::size_t i) {
    return {*array.children[i], table.type(i), array.offset};
  }

  bool take_user(std::int64_t id) { return out_.take_user(id); }
  bool take_user(std::string_view id) { return out_.take_user(id, 0); }
  bool take_item(std::int64_t id) { return out_.take_item(id); }
  bool take_item(std::string_view id) { return out_.take_item(id, 0); }

  bool is_missing(const arrow_column& column, std::int64_t row, std::string_view what) {
    if (column.is_valid(row)) return false;
    out_.drop_missing(what, 0, "null");
    return true;
  }

  template <typename Take>
  bool read_id(const arrow_column& column, const arrow_type& type, id_kind kind, std::int64_t row,
               std::string_view what, const Take& take) {
    if (is_missing(column, row, what)) return false;
    if (type.is_text()) return take(column.text(row));
    const std::int64_t id = column.integer(row);
    if (kind == id_kind::number) return take(id);
    const auto digits = fmt::format_int(type.kind == arrow_kind::uint64 ? static_cast<std::uint64_t>(id) : 0);
    return type.kind == arrow_kind::uint64 ? take(std::string_view(digits.data(), digits.size()))
                                           : take(std::string_view(fmt::format("{}", id)));
  }

  bool read_rating(std::int64_t row) {
    return !ratings_ || (!is_missing(*ratings_, row, "rating") && out_.take_rating(ratings_->number(row)));
  }

  bool read_time(std::int64_t row) {
    if (!times_) return true;
    if (is_missing(*times_, row, "timestamp")) return false;
    if (text_times_) return out_.take_time(times_->text(row), 0);
    instant time;
    if (times_->time(row, time)) return out_.take_time(time);
    if (std::isnan(times_->number(row))) return out_.drop_missing("timestamp", 0, "nan");
    return out_.stop(parse_stop::reason::error, 0, "the timestamp does not fit 64 bits");
  }

  block_builder& out_;
  arrow_column users_;
  arrow_column items_;
  arrow_type user_type_;
  arrow_type item_type_;
  std::optional<arrow_column> times_;
  std::optional<arrow_column> ratings_;
  bool text_times_ = false;
};

/// Sets how times are read from the first one that is not null.
void detect_times(const opened_table& table, ratings_format& format) {
  if (!table.time) return;
  format.timestamp = *table.time;
  const arrow_type type = table.type(*table.time);
  if (type.is_time()) {
    format.times = time_format::date;
    format.time_unit = "timestamps";
    return;
  }
  format.time_unit = "numbers";
  for (const ArrowArray& array : table.arrays) {
    const arrow_column times(*array.children[*table.time], type, array.offset);
    for (std::int64_t row = 0; row < array.length; ++row) {
      instant time;
      if (!times.is_valid(row)) continue;
      if (!type.is_text()) {
        if (times.time(row, time)) format.times_per_second = guess_times_per_second(time.whole);
      } else if (parse_date(times.text(row), time)) {
        format.times = time_format::date;
        format.time_unit = "dates, UTC without a zone";
      } else if (parse_number(times.text(row), time)) {
        format.times_per_second = guess_times_per_second(time.whole);
      }
      return;
    }
  }
}

detected_table describe(const opened_table& table, const ratings_format& format, id_kind users, id_kind items) {
  const auto ids = [](id_kind kind) { return kind == id_kind::text ? "text" : "numbers"; };
  return {.format = fmt::format("{} rows of an Arrow table", table.row_count()),
          .user_column = table.describe(table.user),
          .item_column = table.describe(table.item),
          .time_column = table.time ? table.describe(*table.time) : "",
          .rating_column = table.rating ? table.describe(*table.rating) : "",
          .user_ids = ids(users),
          .item_ids = ids(items),
          .times = table.time ? format.time_unit : "order of the rows"};
}

struct block_range {
  const ArrowArray* array;
  std::int64_t begin;
  std::int64_t end;
};

std::vector<block_range> blocks_of(const opened_table& table) {
  std::vector<block_range> blocks;
  for (const ArrowArray& array : table.arrays) {
    for (std::int64_t begin = 0; begin < array.length; begin += rows_per_block) {
      blocks.push_back({&array, begin, std::min(array.length, begin + rows_per_block)});
    }
  }
  return blocks;
}

void read_table(const opened_table& table, const ratings_format& format, const row_rules& rules, id_kind users,
                id_kind items, support::thread_pool& pool, const run_control& control, collector& all) {
  const std::vector<block_range> blocks = blocks_of(table);
  constexpr std::size_t blocks_per_thread = 4;
  const std::size_t wave = pool.thread_count() * blocks_per_thread;
  for (std::size_t first = 0; first < blocks.size(); first += wave) {
    control.throw_if_stopped();
    control.report({"reading ratings", "blocks", first, blocks.size()});
    std::vector<std::optional<parsed_block>> parsed(std::min(wave, blocks.size() - first));
    pool.for_each(parsed.size(), [&](std::uint64_t i) {
      const block_range& range = blocks[first + i];
      block_builder out(format, rules, users, items, static_cast<std::size_t>(range.end - range.begin));
      array_reader(table, *range.array, out).read(range.begin, range.end, users, items);
      parsed[i] = std::move(out.block());
    });
    for (const auto& block : parsed) all.append(*block);
  }
}

}  // namespace

ratings read_arrow(std::span<const arrow_table> given, const prepare_options& options, const run_control& control) {
  std::vector<opened_table> tables;
  for (const arrow_table& table : given) {
    tables.push_back(read_stream(table));
    find_columns(tables.back(), options);
  }
  const row_rules rules{missing_words(options.table.na_values), options.table.missing, options.min_rating};
  const id_kind users = kind_of(tables, &opened_table::user);
  const id_kind items = kind_of(tables, &opened_table::item);
  ratings_format format;
  detect_times(tables[0], format);
  collector all(users, items);
  all.result().name = tables[0].name;
  all.result().detected = describe(tables[0], format, users, items);
  all.result().times = format.times;
  all.result().times_per_second = format.times_per_second;
  support::thread_pool pool(control.thread_count());
  for (const opened_table& table : tables) {
    all.begin_part(table.name, row_locations::unit::row, 0);
    read_table(table, format, rules, users, items, pool, control, all);
  }
  return std::move(all.result());
}

}  // namespace negpipe::ingest
