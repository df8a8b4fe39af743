// Rows on disk, partitioned by user, for ratings that do not fit the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "disk_bytes.hpp"
#include "ratings.hpp"

namespace negpipe::ingest {

/// One row on disk. Users and items have their numbers by first appearance over all rows.
struct spooled_row {
  std::uint64_t row;
  std::int64_t time;
  std::int32_t user;
  std::int32_t item;
};

/// A sequence of values in an unnamed file: written once, then read. Not thread-safe.
template <typename Value>
class disk_sequence {
 public:
  disk_sequence(const std::filesystem::path& folder, std::size_t buffer_values)
      : file_(support::create_unnamed(folder)), capacity_(buffer_values) {
    buffer_.reserve(capacity_);
  }

  void add(const Value& value) {
    buffer_.push_back(value);
    if (buffer_.size() == capacity_) flush();
  }
  void add(std::span<const Value> values) {
    flush();
    file_.write_at(written_ * sizeof(Value), std::as_bytes(values));
    written_ += values.size();
  }
  /// Returns the number of values added.
  std::uint64_t size() const { return written_ + buffer_.size(); }
  /// Writes the buffer and frees it. Must be called before read().
  void finish() {
    flush();
    buffer_ = {};
  }
  /// Reads values [first, first + out.size()).
  void read(std::uint64_t first, std::span<Value> out) const {
    support::read_at(file_, first * sizeof(Value), std::as_writable_bytes(out));
  }

 private:
  void flush() {
    if (buffer_.empty()) return;
    file_.write_at(written_ * sizeof(Value), std::as_bytes(std::span(buffer_)));
    written_ += buffer_.size();
    buffer_.clear();
  }

  support::file file_;
  std::size_t capacity_;
  std::vector<Value> buffer_;
  std::uint64_t written_ = 0;
};

/// Each partition is an open file.
inline constexpr std::size_t max_partitions = 256;

/// Returns the memory for the rows of one of that many partitions. Twice that of equal ones: users differ.
constexpr std::uint64_t memory_of_partition(std::uint64_t rows, std::size_t partitions) {
  constexpr std::uint64_t bytes_per_row = 64;
  return 2 * rows / partitions * bytes_per_row;
}

/// Throws option_error if the largest number of partitions exceeds the memory. Counted: "about" or "at least".
void check_memory(std::uint64_t memory, std::uint64_t rows, std::string_view counted);

/// Returns the number of rows that prepare can keep in memory.
constexpr std::uint64_t rows_in_memory(std::uint64_t memory) { return memory / 40; }

struct spool_limits {
  std::size_t partitions;
  std::uint64_t memory;
  bool is_count_known;  ///< false: rows that fit the memory need no spool, and add() checks the memory
};

/// All rows of some users: user u of a partition is number u * partition_count() + partition of all.
struct spooled_rows {
  rating_columns columns;
  std::vector<std::uint64_t> rows;  ///< numbers over all rows, ascending
  std::size_t user_count = 0;
};

/// The rows of all users, partitioned by user. Not thread-safe.
class row_spool {
 public:
  /// Files are created by the first add().
  row_spool(std::filesystem::path folder, const spool_limits& limits)
      : folder_(std::move(folder)), limits_(limits) {}

  const std::filesystem::path& folder() const { return folder_; }
  std::size_t partition_count() const { return limits_.partitions; }
  std::uint64_t row_count() const { return row_count_; }
  /// Returns the lowest and the highest time. Needs a row.
  std::pair<std::int64_t, std::int64_t> times() const { return {lowest_time_, highest_time_}; }

  /// Returns the number of rows that should be held before they are added.
  std::uint64_t held_rows() const;
  /// Returns whether the spool is needed for that many rows, which are held.
  bool is_needed(std::uint64_t rows) const {
    return limits_.is_count_known || row_count_ != 0 || rows > rows_in_memory(limits_.memory);
  }
  /// Forgets all rows.
  void clear();
  /// Adds rows, and clears the columns. Throws io_error, and option_error for more rows than the limit.
  void add(rating_columns& columns);
  void finish();
  /// Returns the rows of partition p. user_count: of all users.
  spooled_rows read(std::size_t p, std::size_t user_count) const;
  /// Frees the space of partition p.
  void release(std::size_t p) { partitions_[p] = {}; }

 private:
  /// A fraction of a second that is not 0.
  struct fraction_at {
    std::uint64_t position;  // of the row within the partition
    std::uint64_t fraction;
  };
  struct partition {
    std::unique_ptr<disk_sequence<spooled_row>> rows;
    std::unique_ptr<disk_sequence<fraction_at>> fractions;  // null: all are 0
  };

  void add_fraction(partition& to, std::uint64_t fraction);

  std::filesystem::path folder_;
  spool_limits limits_;
  std::vector<partition> partitions_;
  std::uint64_t row_count_ = 0;
  std::int64_t lowest_time_ = 0;
  std::int64_t highest_time_ = 0;
  bool has_times_ = false;
};

}  // namespace negpipe::ingest
