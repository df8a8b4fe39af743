#include "example_encoder.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "checksum.hpp"
#include "digest.hpp"
#include "format.hpp"
#include "little_endian.hpp"
#include "negpipe/error.hpp"

namespace negpipe::record {

namespace {

/// Field 1, length-delimited: the only tag of Example, Features, BytesList, and of a map entry's key.
constexpr std::byte field1{0x0A};
/// Field 2, length-delimited: a map entry's value.
constexpr std::byte field2{0x12};

using bytes = std::vector<std::byte>;

void append_varint(bytes& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::byte>(value | 0x80));
  out.push_back(static_cast<std::byte>(value));
}

bytes message_header(std::byte tag, std::uint64_t length) {
  bytes header{tag};
  append_varint(header, length);
  return header;
}

/// Returns the bytes of a map entry that precede its payload. Built from the innermost message outwards.
bytes entry_prefix(const column_spec& column) {
  const bytes value = message_header(field1, column.byte_count);              // BytesList.value
  const std::uint64_t list_bytes = value.size() + column.byte_count;
  const bytes list = message_header(field1, list_bytes);                      // Feature.bytes_list
  const std::uint64_t feature_bytes = list.size() + list_bytes;
  const bytes feature = message_header(field2, feature_bytes);                // entry.value
  bytes key = message_header(field1, column.name.size());                     // entry.key
  for (const char c : column.name) key.push_back(static_cast<std::byte>(c));
  bytes prefix = message_header(field1, key.size() + feature.size() + feature_bytes);  // Features.feature
  for (const bytes& part : {key, feature, list, value}) prefix.insert(prefix.end(), part.begin(), part.end());
  return prefix;
}

/// Returns the header of the frame and that of the Example. features_bytes is the size of the Example's Features.
bytes record_prefix(std::uint64_t features_bytes) {
  const bytes example = message_header(field1, features_bytes);  // Example.features
  bytes prefix(frame_header_bytes);
  store_le<std::uint64_t>(prefix.data(), example.size() + features_bytes);
  store_le<std::uint32_t>(prefix.data() + 8, mask_crc(support::crc32c(std::span(prefix).first(8))));
  prefix.insert(prefix.end(), example.begin(), example.end());
  return prefix;
}

}  // namespace

std::vector<column_spec> training_record_columns(std::uint64_t batch_size, item_type items, bool with_mask) {
  std::vector<column_spec> columns{{user_key, batch_size * sizeof(std::int32_t)},
                                   {item_key, batch_size * item_bytes(items)},
                                   {label_key, batch_size}};
  if (with_mask) columns.push_back({valid_key, batch_size});
  return columns;
}

std::vector<column_spec> pair_record_columns(std::uint64_t batch_size, std::uint64_t negatives_per_row, item_type items,
                                             bool with_mask) {
  std::vector<column_spec> columns{{user_key, batch_size * sizeof(std::int32_t)},
                                   {item_key, batch_size * item_bytes(items)},
                                   {negative_key, batch_size * negatives_per_row * item_bytes(items)}};
  if (with_mask) columns.push_back({valid_key, batch_size});
  return columns;
}

std::vector<column_spec> evaluation_record_columns(std::uint64_t batch_size, item_type items) {
  return {{user_key, batch_size * sizeof(std::int32_t)},
          {item_key, batch_size * item_bytes(items)},
          {duplicate_key, batch_size}};
}

record_template::record_template(std::span<const column_spec> columns) {
  std::vector<std::size_t> by_name(columns.size());
  std::iota(by_name.begin(), by_name.end(), std::size_t{0});
  std::ranges::sort(by_name, {}, [&](std::size_t i) { return columns[i].name; });

  std::uint64_t features_bytes = 0;
  for (const std::size_t i : by_name) {
    // Reset at each size above the limit, so that the sum of four cannot overflow.
    if (columns[i].byte_count > max_payload_bytes) features_bytes = max_payload_bytes;
    segments_.push_back({entry_prefix(columns[i]), i, columns[i].byte_count});
    features_bytes += segments_.back().prefix.size() + columns[i].byte_count;
  }
  bytes head = record_prefix(features_bytes);
  const std::uint64_t payload_bytes = head.size() - frame_header_bytes + features_bytes;
  if (payload_bytes > max_payload_bytes) {
    const bool is_evaluation = std::ranges::find(columns, duplicate_key, &column_spec::name) != columns.end();
    throw option_error(is_evaluation ? "eval_batch_size" : "batch_size",
                       fmt::format("a record would take {} bytes, at most {} (protobuf's limit) wanted; choose smaller "
                                   "batches",
                                   payload_bytes, max_payload_bytes));
  }
  record_bytes_ = frame_bytes + payload_bytes;
  bytes& first = segments_.front().prefix;
  first.insert(first.begin(), head.begin(), head.end());
}

namespace {

/// Writes a record sequentially. Checksums each part while it is still in the first-level cache.
class checksumming_cursor {
 public:
  explicit checksumming_cursor(std::byte* to) : to_(to) {}

  void put(std::span<const std::byte> from) {
    constexpr std::size_t step = 16 * 1024;
    while (!from.empty()) {
      const auto part = from.first(std::min(step, from.size()));
      std::memcpy(to_, part.data(), part.size());
      crc_ = support::crc32c({to_, part.size()}, crc_);
      to_ += part.size();
      from = from.subspan(part.size());
    }
  }
  std::byte* position() const { return to_; }
  std::uint32_t crc() const { return crc_; }

 private:
  std::byte* to_;
  std::uint32_t crc_ = 0;
};

}  // namespace

void record_template::encode(std::span<const std::span<const std::byte>> columns, std::span<std::byte> record) const {
  const std::span<const std::byte> head = segments_.front().prefix;
  std::memcpy(record.data(), head.data(), frame_header_bytes);
  checksumming_cursor cursor(record.data() + frame_header_bytes);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const segment& s = segments_[i];
    cursor.put(i == 0 ? head.subspan(frame_header_bytes) : std::span<const std::byte>(s.prefix));
    cursor.put(columns[s.column]);
  }
  store_le<std::uint32_t>(cursor.position(), mask_crc(cursor.crc()));
}

void record_template::lay_out(std::span<std::byte> record) const {
  std::byte* to = record.data();
  for (const segment& s : segments_) {
    std::memcpy(to, s.prefix.data(), s.prefix.size());
    to += s.prefix.size() + s.byte_count;
  }
}

std::span<std::byte> record_template::column(std::size_t column, std::span<std::byte> record) const {
  std::uint64_t begin = 0;
  for (const segment& s : segments_) {
    begin += s.prefix.size();
    if (s.column == column) return record.subspan(begin, s.byte_count);
    begin += s.byte_count;
  }
  return {};
}

void record_template::seal(std::span<std::byte> record) const {
  const auto payload = record.subspan(frame_header_bytes, record.size() - frame_bytes);
  store_le<std::uint32_t>(record.data() + record.size() - frame_footer_bytes, mask_crc(support::crc32c(payload)));
}

}  // namespace negpipe::record
