// Writer of the record files of one cycle, or of the evaluation data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/plan.hpp"
#include "negpipe/tfrecord.hpp"

namespace negpipe::record {

/// One finished record file, as ready.json lists it.
struct record_file {
  std::string name;
  std::uint64_t record_count = 0;
  std::uint64_t byte_count = 0;
  std::uint32_t crc32c = 0;  ///< of the bytes on disk

  friend bool operator==(const record_file&, const record_file&) = default;
};

/// Files [first, first + count) of a layout.
struct file_range {
  std::uint32_t first;
  std::uint32_t count;
};

/// Default limit on gzip pieces that wait for earlier ones: hundreds of batches of the usual size.
inline constexpr std::uint64_t default_waiting_bytes = 64U << 20;

/// Several record files, written in parallel. Their bytes do not depend on threads or on the order of writing. Those of
/// gzip files depend on the version of zlib.
class record_set {
 public:
  /// Creates all files in an existing folder.
  /// - record_bytes: size of every record, framing included.
  /// - max_waiting_bytes: limit on compressed pieces in memory, over all files; gzip only.
  /// Throws io_error.
  record_set(const std::filesystem::path& folder, std::string_view prefix, const file_layout& layout,
             std::uint64_t record_bytes, compression_type compression,
             std::uint64_t max_waiting_bytes = default_waiting_bytes);
  /// Creates only some of the files of the layout.
  record_set(const std::filesystem::path& folder, std::string_view prefix, const file_layout& layout, file_range range,
             std::uint64_t record_bytes, compression_type compression,
             std::uint64_t max_waiting_bytes = default_waiting_bytes);
  ~record_set();

  /// Writes the record of a batch, as record_template::encode makes it. Each batch must be written once. Thread-safe.
  /// - Plain files: written at the record's offset; writeback starts at once.
  /// - gzip: compressed in the calling thread, appended in the order of batches. Beyond max_waiting_bytes the call
  ///   waits until earlier batches of the file are written. The batches of a file must therefore be assigned to
  ///   threads in ascending order.
  /// Throws io_error.
  void write(std::uint64_t batch, std::span<const std::byte> record);

  /// Makes waiting and later calls of write() return without writing, because a batch will not be written.
  void cancel() noexcept;

  /// Writes the index files of plain files and syncs everything to disk. Must be called once, after all writes.
  /// Throws io_error, and format_error if a batch was not written.
  std::vector<record_file> finish();

 private:
  class output;
  class plain_output;
  class gzip_output;

  std::filesystem::path folder_;
  file_layout layout_;
  file_range range_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<output>> outputs_;
};

}  // namespace negpipe::record
