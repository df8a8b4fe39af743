#include "arrow_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arrow_copy.hpp"
#include "block_builder.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::int64_t rows_per_block = std::int64_t{1} << 16;

/// The rows of one batch.
class batch_reader {
 public:
  batch_reader(const arrow_input& table, const ArrowArray& batch, const arrow_reading& how, block_builder& out)
      : batch_(batch),
        how_(how),
        out_(out),
        users_(table.values(batch, table.user)),
        items_(table.values(batch, table.item)),
        user_type_(table.type(table.user)),
        item_type_(table.type(table.item)) {
    if (table.time) {
      times_.emplace(table.values(batch, *table.time));
      text_times_ = table.type(*table.time).is_text();
      numeric_times_ = table.type(*table.time).is_integer();
    }
    if (table.rating) ratings_.emplace(table.values(batch, *table.rating));
  }

  void read(std::int64_t begin, std::int64_t end) {
    std::uint64_t& line = out_.block().line_count;
    for (std::int64_t row = begin; row < end; ++row, ++line) {
      if (read_row(row)) {
        out_.finish_row();
      } else if (out_.stopped()) {
        out_.block().stop.line = line;
        return;
      }
    }
  }

 private:
  bool read_row(std::int64_t row) {
    if (!is_valid_at(batch_, batch_.offset + row)) return out_.drop_missing("value", 0, "null");
    return read_id(users_, user_type_, how_.users, row, "user id", [&](auto id) { return take_user(id); }) &&
           read_id(items_, item_type_, how_.items, row, "item id", [&](auto id) { return take_item(id); }) &&
           read_rating(row) && read_time(row);
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

  /// Returns whether a number is one of the words that mean "missing".
  bool is_missing(std::int64_t value, std::string_view what) {
    if (!how_.rules.words.contains(value)) return false;
    out_.drop_missing(what, 0, fmt::format_int(value).c_str());
    return true;
  }

  template <typename Take>
  bool read_id(const arrow_column& column, const arrow_type& type, id_kind kind, std::int64_t row,
               std::string_view what, const Take& take) {
    if (is_missing(column, row, what)) return false;
    if (type.is_text()) return take(column.text(row));
    const std::int64_t id = column.integer(row);
    if (kind == id_kind::number) return !is_missing(id, what) && take(id);
    const auto digits = type.kind == arrow_kind::uint64 ? fmt::format_int(static_cast<std::uint64_t>(id))
                                                        : fmt::format_int(id);
    return take(std::string_view(digits.data(), digits.size()));
  }

  bool read_rating(std::int64_t row) {
    if (!ratings_) return true;
    if (is_missing(*ratings_, row, "rating")) return false;
    const double rating = ratings_->number(row);
    constexpr double limit = 9223372036854775808.0;  // 2^63
    const bool is_whole = std::trunc(rating) == rating && std::abs(rating) < limit;
    if (is_whole && is_missing(static_cast<std::int64_t>(rating), "rating")) return false;
    return out_.take_rating(rating);
  }

  bool read_time(std::int64_t row) {
    if (!times_) return true;
    if (is_missing(*times_, row, "timestamp")) return false;
    if (text_times_) return out_.take_time(times_->text(row), 0);
    instant time;
    if (times_->time(row, time)) {
      return !(numeric_times_ && is_missing(time.whole, "timestamp")) && out_.take_time(time);
    }
    if (std::isnan(times_->number(row))) return out_.drop_missing("timestamp", 0, "nan");
    return out_.stop(parse_stop::reason::error, 0, "the timestamp does not fit 64 bits");
  }

  const ArrowArray& batch_;
  const arrow_reading& how_;
  block_builder& out_;
  arrow_column users_;
  arrow_column items_;
  arrow_type user_type_;
  arrow_type item_type_;
  std::optional<arrow_column> times_;
  std::optional<arrow_column> ratings_;
  bool text_times_ = false;
  bool numeric_times_ = false;
};

struct block_range {
  const ArrowArray* batch;
  std::int64_t begin;
  std::int64_t end;
};

std::vector<block_range> blocks_of(const arrow_input& table) {
  std::vector<block_range> blocks;
  for (const ArrowArray& batch : table.batches) {
    for (std::int64_t begin = 0; begin < batch.length; begin += rows_per_block) {
      blocks.push_back({&batch, begin, std::min(batch.length, begin + rows_per_block)});
    }
  }
  return blocks;
}

void parse_rows(const arrow_input& table, const arrow_reading& how, support::thread_pool& pool,
                const run_control& control, collector& all) {
  const std::vector<block_range> blocks = blocks_of(table);
  constexpr std::size_t blocks_per_thread = 4;
  const std::size_t wave = pool.thread_count() * blocks_per_thread;
  for (std::size_t first = 0; first < blocks.size(); first += wave) {
    control.throw_if_stopped();
    control.report({"reading ratings", "blocks", first, blocks.size()});
    std::vector<std::optional<parsed_block>> parsed(std::min(wave, blocks.size() - first));
    pool.for_each(parsed.size(), [&](std::uint64_t i) {
      const block_range& range = blocks[first + i];
      block_builder out(how.format, how.rules, how.users, how.items, static_cast<std::size_t>(range.end - range.begin));
      batch_reader(table, *range.batch, how, out).read(range.begin, range.end);
      parsed[i] = std::move(out.block());
    });
    for (const auto& block : parsed) all.append(*block);
  }
}

}  // namespace

void read_arrow_rows(const arrow_input& table, const arrow_reading& how, support::thread_pool& pool,
                     const run_control& control, collector& all) {
  all.reserve(table.row_count(), how.format.has_time());
  if (can_copy_columns(table, how)) {
    copy_columns(table, pool, control, all.result());
  } else {
    parse_rows(table, how, pool, control, all);
  }
}

}  // namespace negpipe::ingest
