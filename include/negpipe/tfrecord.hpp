// Record files: batches as tf.train.Example in TFRecord framing. Byte tables: host/record/FORMAT.md.
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

/// Reads the records of a file and checks both checksums of each. Memory is bounded by the largest allowed payload,
/// compressed or not. A file that is changed meanwhile gives old or new bytes, or an error. Not thread-safe.
class record_reader {
 public:
  /// Opens a file. Detects compression from the first bytes; payloads up to protobuf's 2 GiB. Throws io_error.
  explicit record_reader(const std::filesystem::path& file);
  /// Opens a file that ready.json describes. Throws io_error, and format_error if its compression differs.
  record_reader(const std::filesystem::path& file, compression_type compression, std::uint64_t max_payload_bytes);
  ~record_reader();
  record_reader(record_reader&&) noexcept;
  record_reader& operator=(record_reader&&) noexcept;

  /// Reads the next record. payload is valid until the next call. Returns false at the end of the file. Throws
  /// format_error (file, record number, byte offset, what was found and wanted), io_error.
  bool next(std::span<const std::byte>& payload);
  /// Returns the memory of the last payload, which stays valid as long as it is held: the next call of next() reads
  /// into other memory. Small records share memory.
  std::shared_ptr<const std::byte[]> share();
  /// Returns the CRC-32C of the whole file, compressed or not, once next() has returned false. ready.json lists it.
  std::uint32_t file_crc32c() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// Returns the features of a serialized tf.train.Example in payload order: at most 256, each a BytesList with one
/// value. The views point into the payload. Throws format_error.
std::vector<feature> parse_example(std::span<const std::byte> payload);

}  // namespace negpipe
