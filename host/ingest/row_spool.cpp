#include "row_spool.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {
constexpr std::size_t buffered_rows = 2048;  // of each partition
}  // namespace

void check_memory(std::uint64_t memory, std::uint64_t rows, std::string_view counted) {
  const std::uint64_t needed = memory_of_partition(rows, max_partitions);
  if (needed <= memory) return;
  throw option_error("memory", fmt::format("{} given, but {} {} rows need {}: they are sorted in at most {} parts",
                                           memory, counted, rows, needed, max_partitions));
}

std::uint64_t row_spool::held_rows() const {
  constexpr std::uint64_t max_held = std::uint64_t{1} << 20;
  return std::clamp<std::uint64_t>(rows_in_memory(limits_.memory), 1, max_held);
}

void row_spool::clear() {
  partitions_.clear();
  row_count_ = 0;
}

void row_spool::add_fraction(partition& to, std::uint64_t fraction) {
  constexpr std::size_t buffered_fractions = 1024;
  if (!to.fractions) to.fractions = std::make_unique<disk_sequence<fraction_at>>(folder_, buffered_fractions);
  to.fractions->add({to.rows->size(), fraction});
}

void row_spool::add(rating_columns& columns) {
  if (columns.row_count() == 0) return;
  if (!limits_.is_count_known) check_memory(limits_.memory, row_count_ + columns.row_count(), "at least");
  const auto count = static_cast<std::uint32_t>(limits_.partitions);
  if (partitions_.empty()) {
    partitions_.resize(count);
    for (partition& made : partitions_) {
      made.rows = std::make_unique<disk_sequence<spooled_row>>(folder_, buffered_rows);
    }
  }
  has_times_ = !columns.timestamps.empty();
  if (has_times_ && row_count_ == 0) lowest_time_ = highest_time_ = columns.timestamps.front();
  for (std::uint64_t i = 0; i < columns.row_count(); ++i) {
    const std::int64_t time = has_times_ ? columns.timestamps[i] : 0;
    lowest_time_ = std::min(lowest_time_, time);
    highest_time_ = std::max(highest_time_, time);
    partition& to = partitions_[static_cast<std::uint32_t>(columns.users[i]) % count];
    if (!columns.fractions.empty() && columns.fractions[i] != 0) add_fraction(to, columns.fractions[i]);
    to.rows->add({row_count_++, time, columns.users[i], columns.items[i]});
  }
  columns = {};
}

void row_spool::finish() {
  for (partition& part : partitions_) {
    part.rows->finish();
    if (part.fractions) part.fractions->finish();
  }
}

spooled_rows row_spool::read(std::size_t p, std::size_t user_count) const {
  const partition& from = partitions_[p];
  const auto step = static_cast<std::uint32_t>(limits_.partitions);
  const std::uint64_t count = from.rows->size();
  spooled_rows made{.user_count = (user_count + step - 1 - p) / step};
  rating_columns& columns = made.columns;
  made.rows.reserve(count);
  columns.users.reserve(count);
  columns.items.reserve(count);
  if (has_times_) columns.timestamps.reserve(count);
  std::vector<spooled_row> block;
  for (std::uint64_t done = 0; done < count; done += block.size()) {
    constexpr std::uint64_t block_rows = 1 << 16;
    block.resize(static_cast<std::size_t>(std::min(block_rows, count - done)));
    from.rows->read(done, block);
    for (const spooled_row& row : block) {
      made.rows.push_back(row.row);
      columns.users.push_back(static_cast<std::int32_t>(static_cast<std::uint32_t>(row.user) / step));
      columns.items.push_back(row.item);
      if (has_times_) columns.timestamps.push_back(row.time);
    }
  }
  if (from.fractions) {
    std::vector<fraction_at> fractions(static_cast<std::size_t>(from.fractions->size()));
    from.fractions->read(0, fractions);
    columns.fractions.assign(count, 0);
    for (const fraction_at& some : fractions) columns.fractions[some.position] = some.fraction;
  }
  return made;
}

}  // namespace negpipe::ingest
