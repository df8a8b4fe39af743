#include "row_spool.hpp"

#include <algorithm>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {
constexpr std::size_t buffered_rows = 2048;
}

row_spool::row_spool(const std::filesystem::path& folder, std::size_t partition_count) {
  partitions_.reserve(partition_count);
  for (std::size_t i = 0; i < partition_count; ++i) partitions_.emplace_back(folder, buffered_rows);
}

void row_spool::clear() {
  for (auto& partition : partitions_) partition.clear();
  row_count_ = 0;
}

void row_spool::add(rating_columns& columns) {
  if (std::ranges::any_of(columns.fractions, [](std::uint64_t fraction) { return fraction != 0; })) {
    throw option_error("memory", "times with fractions of a second are ordered in memory only; leave it out");
  }
  for (std::uint64_t i = 0; i < columns.row_count(); ++i) {
    const std::int64_t time = columns.timestamps.empty() ? 0 : columns.timestamps[i];
    const spooled_row row{row_count_++, time, columns.users[i], columns.items[i]};
    partitions_[static_cast<std::size_t>(row.user) % partitions_.size()].add(std::span(&row, 1));
  }
  columns = {};
}

void row_spool::finish() {
  for (auto& partition : partitions_) partition.finish();
}

std::vector<spooled_row> row_spool::read(std::size_t partition) const {
  std::vector<spooled_row> rows(partitions_[partition].size());
  partitions_[partition].read(0, rows);
  return rows;
}

}  // namespace negpipe::ingest
