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

/// A feature of every record: a BytesList with one value of so many bytes.
struct column_spec {
  std::string_view name;
  std::uint64_t byte_count;
};

/// users, items, labels and, with a mask, valid: the order of training_columns.
std::vector<column_spec> training_record_columns(std::uint64_t batch_size, item_type items, bool with_mask);
/// users, items, duplicate_mask: the order of evaluation_columns.
std::vector<column_spec> evaluation_record_columns(std::uint64_t batch_size, item_type items);

/// Records of one shape. They differ only in the columns' bytes and the checksum, so everything else is laid out once.
/// Immutable and thread-safe.
class record_template {
 public:
  /// Names must be distinct. Within a record features stand sorted by name, as protobuf's deterministic
  /// serialization has them. Throws option_error when a record would pass protobuf's 2 GiB.
  explicit record_template(std::span<const column_spec> columns);

  /// Bytes of a whole record, framing included.
  std::uint64_t record_bytes() const { return record_bytes_; }

  /// Writes a whole record: copies each column once and checksums it while it is in cache. columns are in the
  /// order given to the constructor, each of exactly its byte_count; record is record_bytes() long.
  void encode(std::span<const std::span<const std::byte>> columns, std::span<std::byte> record) const;

 private:
  /// Constant bytes, then a column's payload.
  struct segment {
    std::vector<std::byte> prefix;
    std::size_t column;  ///< index in the constructor's order
    std::uint64_t byte_count;
  };

  std::vector<segment> segments_;  ///< the first prefix begins with the frame's header
  std::uint64_t record_bytes_;
};

}  // namespace negpipe::record
