#include "collector.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "negpipe/error.hpp"
#include "row_spool.hpp"

namespace negpipe::ingest {

namespace {

void append_ids(std::vector<std::int32_t>& column, const std::vector<std::int32_t>& ids,
                const std::vector<std::int32_t>& number_of) {
  const std::size_t begin = column.size();
  column.resize(begin + ids.size());
  std::transform(ids.begin(), ids.end(), column.begin() + static_cast<std::ptrdiff_t>(begin),
                 [&](std::int32_t id) { return number_of[static_cast<std::size_t>(id)]; });
}

void append_times(rating_columns& columns, const parsed_block& block) {
  columns.timestamps.insert(columns.timestamps.end(), block.timestamps.begin(), block.timestamps.end());
  if (block.fractions.empty() && columns.fractions.empty()) return;
  columns.fractions.resize(columns.timestamps.size() - block.fractions.size(), 0);
  columns.fractions.insert(columns.fractions.end(), block.fractions.begin(), block.fractions.end());
}

}  // namespace

void collector::begin_part(const std::string& name, row_locations::unit lines, std::uint64_t lines_before) {
  part_ = name;
  lines_ = lines;
  lines_before_ = lines_before;
  result_.part_begins.push_back(row_count());
  result_.locations.begin_part(name, lines, row_count(), lines_before);
}

void collector::reserve(std::uint64_t rows, bool with_times) {
  rating_columns& columns = result_.columns;
  columns.users.reserve(columns.users.size() + rows);
  columns.items.reserve(columns.items.size() + rows);
  if (with_times) columns.timestamps.reserve(columns.timestamps.size() + rows);
}

parse_stop::reason collector::append(const parsed_block& block) {
  text_users_ = text_users_ || block.text_users;
  text_items_ = text_items_ || block.text_items;
  if (block.stop.why != parse_stop::reason::none) {
    const std::uint64_t line = lines_before_ + block.stop.line;
    const std::string where = lines_ == row_locations::unit::line
                                  ? fmt::format("{}:{}:{}", part_, line + 1, block.stop.column)
                                  : fmt::format("{}, row {}", part_, line);
    stop_message_ = fmt::format("{}: {}", where, block.stop.message);
    if (block.stop.why == parse_stop::reason::error) throw input_error(stop_message_);
    return block.stop.why;
  }
  rating_columns& columns = result_.columns;
  result_.locations.add(row_count(), block.blanks);
  append_ids(columns.users, block.users, result_.user_ids.add_all(block.user_ids));
  append_ids(columns.items, block.items, result_.item_ids.add_all(block.item_ids));
  append_times(columns, block);
  result_.rows_missing += block.rows_missing;
  result_.rows_low += block.rows_low;
  lines_before_ += block.line_count;
  spool_rows();
  return parse_stop::reason::none;
}

std::uint64_t collector::row_count() const {
  return result_.columns.row_count() + (spool_ == nullptr ? 0 : spool_->row_count());
}

void collector::spool_rows() {
  const std::uint64_t held = result_.columns.row_count();
  if (spool_ != nullptr && held >= spool_->held_rows() && spool_->is_needed(held)) spool_->add(result_.columns);
}

void collector::finish() {
  if (spool_ == nullptr || !spool_->is_needed(result_.columns.row_count())) return;
  spool_->add(result_.columns);
  spool_->finish();
}

}  // namespace negpipe::ingest
