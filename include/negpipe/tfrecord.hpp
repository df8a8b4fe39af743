// Record files: batches as tf.train.Example in TFRecord framing. host/record/FORMAT.md has the byte tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe {

enum class compression_type : std::uint8_t { none, gzip };

/// One feature of a batch: a BytesList with one value, raw little-endian numbers.
struct feature {
  std::string_view name;
  std::span<const std::byte> bytes;
};

/// Reads the records of one file, checking both checksums of each. Memory is bounded by the largest payload that is
/// allowed, compressed or not. Not safe to share between threads.
class record_reader {
 public:
  /// Opens a file; compression by its first bytes; payloads up to protobuf's 2 GiB. Throws io_error.
  explicit record_reader(const std::filesystem::path& file);
  /// Opens a file that ready.json describes. Throws io_error, and format_error when it is compressed otherwise.
  record_reader(const std::filesystem::path& file, compression_type compression, std::uint64_t max_payload_bytes);
  ~record_reader();
  record_reader(record_reader&&) noexcept;
  record_reader& operator=(record_reader&&) noexcept;

  /// The next record's payload, valid until the next call; false at the end of the file. Throws format_error
  /// (file, record number, byte offset, what was found and wanted).
  bool next(std::span<const std::byte>& payload);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// Returns the features of a serialized tf.train.Example whose features are BytesLists with one value each, in their
/// order in the payload, at most 256. The views point into the payload. Throws format_error.
std::vector<feature> parse_example(std::span<const std::byte> payload);

}  // namespace negpipe
