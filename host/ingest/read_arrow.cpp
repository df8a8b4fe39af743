// Reads ratings from Arrow streams.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "arrow_input.hpp"
#include "arrow_rows.hpp"
#include "collector.hpp"
#include "ratings.hpp"
#include "row_spool.hpp"
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

/// Returns the kind of a column of ids by its type, which must be the same in all tables.
id_kind kind_of(const std::vector<arrow_input>& tables, std::size_t arrow_input::* column) {
  const bool text = tables[0].type(tables[0].*column).is_text();
  for (const arrow_input& table : tables) {
    const std::size_t i = table.*column;
    if (table.type(i).is_text() != text) table.refuse_type(i, "the type that it has in " + tables[0].name);
  }
  return text ? id_kind::text : id_kind::number;
}

/// Sets how times are read, from the first one that is not null. Returns false if there is none in the batches.
bool detect_times(const arrow_input& table, ratings_format& format) {
  if (!table.time) return true;
  format.timestamp = *table.time;
  const arrow_type type = table.type(*table.time);
  if (type.is_time()) {
    format.times = time_format::date;
    format.time_unit = "timestamps";
    return true;
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
      return true;
    }
  }
  return false;
}

detected_table describe(const arrow_input& table, std::uint64_t rows, const ratings_format& format, id_kind users,
                        id_kind items) {
  const auto ids = [](id_kind kind) { return kind == id_kind::text ? "text" : "numbers"; };
  return {.format = fmt::format("{} rows of an Arrow table", rows),
          .user_column = table.describe(table.user),
          .item_column = table.describe(table.item),
          .time_column = table.time ? table.describe(*table.time) : "",
          .rating_column = table.rating ? table.describe(*table.rating) : "",
          .user_ids = ids(users),
          .item_ids = ids(items),
          .times = table.time ? format.time_unit : "order of the rows"};
}

/// Reads tables one after the other: all of a table at once, or a few batches at a time for a spool.
class reading {
 public:
  reading(std::span<const arrow_table> given, const prepare_options& options, const run_control& control,
          row_spool* spool)
      : rules_(rules_of(options)), control_(control), part_control_(control), pool_(control.thread_count()) {
    for (const arrow_table& table : given) tables_.push_back(open_arrow(table, options));
    users_ = kind_of(tables_, &arrow_input::user);
    items_ = kind_of(tables_, &arrow_input::item);
    all_.emplace(users_, items_, spool);
    if (spool == nullptr) return;
    rows_at_a_time_ = spool->held_rows();
    part_control_.on_progress = nullptr;
  }

  ratings run() {
    knows_times_ = detect_times(tables_[0], format_);
    for (arrow_input& table : tables_) {
      all_->begin_part(table.name, row_locations::unit::row, 0);
      while (read_batches(table, rows_at_a_time_)) append(table);
    }
    all_->finish();
    ratings& result = all_->result();
    result.name = tables_[0].name;
    result.detected = describe(tables_[0], first_table_rows_, format_, users_, items_);
    result.times = format_.times;
    result.times_per_second = format_.times_per_second;
    return std::move(result);
  }

 private:
  void append(const arrow_input& table) {
    const bool is_first = &table == tables_.data();
    if (is_first) first_table_rows_ += table.row_count();
    if (is_first && !knows_times_) knows_times_ = detect_times(table, format_);
    if (users_ == id_kind::number && has_wide_values(table, table.user)) {
      users_ = id_kind::text;
      all_->make_users_text();
    }
    if (items_ == id_kind::number && has_wide_values(table, table.item)) {
      items_ = id_kind::text;
      all_->make_items_text();
    }
    read_arrow_rows(table, {format_, rules_, users_, items_}, pool_, part_control_, *all_);
    all_->spool_rows();
    if (!part_control_.on_progress) control_.report({"reading ratings", "rows", all_->row_count(), 0});
  }

  row_rules rules_;
  const run_control& control_;
  run_control part_control_;  // reports progress only where a table is read at once
  support::thread_pool pool_;
  std::vector<arrow_input> tables_;
  id_kind users_ = id_kind::number;
  id_kind items_ = id_kind::number;
  std::optional<collector> all_;
  std::uint64_t rows_at_a_time_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t first_table_rows_ = 0;
  ratings_format format_;
  bool knows_times_ = false;
};

}  // namespace

ratings read_arrow(std::span<const arrow_table> given, const prepare_options& options, const run_control& control,
                   row_spool* spool) {
  return reading(given, options, control, spool).run();
}

}  // namespace negpipe::ingest
