// Rows on disk, partitioned by user, for ratings that do not fit the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
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
      : file_(support::create_unnamed(folder)), capacity_(buffer_values) {}

  void add(std::span<const Value> values) {
    buffer_.insert(buffer_.end(), values.begin(), values.end());
    if (buffer_.size() >= capacity_) flush();
  }
  /// Returns the number of values added.
  std::uint64_t size() const { return written_ + buffer_.size(); }
  void clear() {
    buffer_.clear();
    written_ = 0;  // later values overwrite the earlier ones
  }
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
    file_.write_at(written_ * sizeof(Value), std::as_bytes(std::span(buffer_)));
    written_ += buffer_.size();
    buffer_.clear();
  }

  support::file file_;
  std::size_t capacity_;
  std::vector<Value> buffer_;
  std::uint64_t written_ = 0;
};

/// The rows of all users: user u is in partition u mod partition_count(), in the order of the rows. Not thread-safe.
class row_spool {
 public:
  /// Throws io_error.
  row_spool(const std::filesystem::path& folder, std::size_t partition_count);

  std::size_t partition_count() const { return partitions_.size(); }
  std::uint64_t row_count() const { return row_count_; }

  /// Forgets all rows.
  void clear();
  /// Adds rows, and clears the columns. Throws io_error, and option_error for fractions of a second.
  void add(rating_columns& columns);
  void finish();
  /// Returns the rows of a partition.
  std::vector<spooled_row> read(std::size_t partition) const;

 private:
  std::vector<disk_sequence<spooled_row>> partitions_;
  std::uint64_t row_count_ = 0;
};

}  // namespace negpipe::ingest
