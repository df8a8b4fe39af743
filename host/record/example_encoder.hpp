// One batch as one framed record: a tf.train.Example in TFRecord framing (see FORMAT.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/batch.hpp"

namespace negpipe::record {

/// A feature of every record: a BytesList with one value of byte_count bytes.
struct column_spec {
  std::string_view name;
  std::uint64_t byte_count;
};

/// Returns users, items, labels and, if with_mask, valid: the order of training_columns.
std::vector<column_spec> training_record_columns(std::uint64_t batch_size, item_type items, bool with_mask);
/// Returns users, items, negatives and, if with_mask, valid: the order of pair_columns. batch_size is in rows.
std::vector<column_spec> pair_record_columns(std::uint64_t batch_size, std::uint64_t negatives_per_row, item_type items,
                                             bool with_mask);
/// Returns users, items, duplicate_mask: the order of evaluation_columns.
std::vector<column_spec> evaluation_record_columns(std::uint64_t batch_size, item_type items);

/// Encoder of records of one shape. Only column bytes and the checksum differ, so all other bytes are laid out once.
/// Immutable and thread-safe.
class record_template {
 public:
  /// Column names must be distinct. Features are sorted by name within a record, as in protobuf's deterministic
  /// serialization. Throws option_error if a record would exceed protobuf's limit of 2 GiB.
  explicit record_template(std::span<const column_spec> columns);

  /// Returns the bytes of a record, framing included.
  std::uint64_t record_bytes() const { return record_bytes_; }

  /// Writes one framed record.
  /// - columns: in the order given to the constructor, each of exactly its byte_count.
  /// - record: record_bytes() bytes.
  void encode(std::span<const std::span<const std::byte>> columns, std::span<std::byte> record) const;

  /// Encodes without a copy of the columns: lay_out() once, then, for each record, write the bytes of each column() and
  /// seal(). Gives the bytes of encode. column: an index in the constructor's order.
  void lay_out(std::span<std::byte> record) const;
  std::span<std::byte> column(std::size_t column, std::span<std::byte> record) const;
  /// Writes the checksum of the payload, which is read once.
  void seal(std::span<std::byte> record) const;

 private:
  /// Constant bytes, followed by the bytes of a column.
  struct segment {
    std::vector<std::byte> prefix;
    std::size_t column;  ///< index in the constructor's order
    std::uint64_t byte_count;
  };

  std::vector<segment> segments_;  ///< the first prefix begins with the frame's header
  std::uint64_t record_bytes_;
};

}  // namespace negpipe::record
