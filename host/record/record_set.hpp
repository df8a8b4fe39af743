// The record files of one cycle, or of the evaluation data, in the making.
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
  std::uint32_t crc32c = 0;  ///< of the file's bytes as they lie on disk

  friend bool operator==(const record_file&, const record_file&) = default;
};

/// Limit on the gzip pieces of a run that wait for their turn: hundreds of batches of the usual size.
inline constexpr std::uint64_t default_waiting_bytes = 64U << 20;

/// R files, written side by side. The files' bytes depend on the records alone: not on threads, nor on the order of
/// writing (gzip: on the version of zlib too).
class record_set {
 public:
  /// Creates all files in an existing folder. Every record has record_bytes bytes, framing included. Throws io_error.
  record_set(const std::filesystem::path& folder, std::string_view prefix, const file_layout& layout,
             std::uint64_t record_bytes, compression_type compression,
             std::uint64_t max_waiting_bytes = default_waiting_bytes);
  ~record_set();

  /// Writes the record of a batch, framed as record_template::encode leaves it. Each batch must be written once. Safe
  /// to call from several threads at once. Plain files are written in place, and writeback begins. A gzip piece is
  /// compressed in the calling thread and appended in its turn: pieces that are early are kept, up to
  /// max_waiting_bytes over all files; beyond it, the call waits until earlier batches of the file are written. So the
  /// batches of a file must be handed to threads in ascending order. Throws io_error.
  void write(std::uint64_t batch, std::span<const std::byte> record);

  /// Lets all calls of write() that wait, and all later ones, return without writing: some batch will never come.
  void cancel() noexcept;

  /// Writes index files beside plain files and waits until all is on disk. To be called once, after all writes.
  /// Throws io_error, and format_error when a batch was never written.
  std::vector<record_file> finish();

 private:
  class output;
  class plain_output;
  class gzip_output;

  std::filesystem::path folder_;
  file_layout layout_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<output>> outputs_;
};

}  // namespace negpipe::record
