// Reads ratings from Arrow streams.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "arrow_input.hpp"
#include "arrow_rows.hpp"
#include "collector.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"

namespace negpipe::ingest {

namespace {

bool has_wide_values(const arrow_input& table, std::size_t column) {
  if (table.type(column).kind != arrow_kind::uint64) return false;
  return std::ranges::any_of(table.batches, [&](const ArrowArray& batch) {
    const arrow_column values = table.values(batch, column);
    for (std::int64_t row = 0; row < batch.length; ++row) {
      if (values.is_valid(row) && values.integer(row) < 0) return true;
    }
    return false;
  });
}

/// Returns the kind of a column of ids in all tables.
id_kind kind_of(const std::vector<arrow_input>& tables, std::size_t arrow_input::* column) {
  const bool text = tables[0].type(tables[0].*column).is_text();
  bool wide = false;
  for (const arrow_input& table : tables) {
    const std::size_t i = table.*column;
    if (table.type(i).is_text() != text) table.refuse_type(i, "the type that it has in " + tables[0].name);
    wide = wide || has_wide_values(table, i);
  }
  return text || wide ? id_kind::text : id_kind::number;
}

/// Sets how times are read, from the first one that is not null.
void detect_times(const arrow_input& table, ratings_format& format) {
  if (!table.time) return;
  format.timestamp = *table.time;
  const arrow_type type = table.type(*table.time);
  if (type.is_time()) {
    format.times = time_format::date;
    format.time_unit = "timestamps";
    return;
  }
  format.time_unit = "numbers";
  for (const ArrowArray& batch : table.batches) {
    const arrow_column times = table.values(batch, *table.time);
    for (std::int64_t row = 0; row < batch.length; ++row) {
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

detected_table describe(const arrow_input& table, const ratings_format& format, id_kind users, id_kind items) {
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

}  // namespace

ratings read_arrow(std::span<const arrow_table> given, const prepare_options& options, const run_control& control) {
  std::vector<arrow_input> tables;
  for (const arrow_table& table : given) tables.push_back(open_arrow(table, options));
  const row_rules rules = rules_of(options);
  const id_kind users = kind_of(tables, &arrow_input::user);
  const id_kind items = kind_of(tables, &arrow_input::item);
  ratings_format format;
  detect_times(tables[0], format);
  collector all(users, items);
  all.result().name = tables[0].name;
  all.result().detected = describe(tables[0], format, users, items);
  all.result().times = format.times;
  all.result().times_per_second = format.times_per_second;
  support::thread_pool pool(control.thread_count());
  for (const arrow_input& table : tables) {
    all.begin_part(table.name, row_locations::unit::row, 0);
    read_arrow_rows(table, {format, rules, users, items}, pool, control, all);
  }
  return std::move(all.result());
}

}  // namespace negpipe::ingest
