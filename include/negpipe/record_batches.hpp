// The batches of a finished folder of records, read with all checks. Format: host/record/FORMAT.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "negpipe/tfrecord.hpp"

namespace negpipe {

/// A column of every batch of a folder. Values are little-endian.
struct record_column {
  std::string name;
  std::uint32_t value_bytes;         ///< 1: int8, 2: uint16, 4: int32
  std::vector<std::uint64_t> shape;  ///< [batch_size], or [batch_size, num_neg] for negatives of the pairwise layout
};

/// A folder of records: one cycle of training data, or the evaluation data. Immutable, thread-safe; copies share the
/// content of ready.json. Nothing in the folder is trusted: what FORMAT.md does not allow is a format_error.
class record_batches {
 public:
  /// Reads and checks ready.json; does not open the record files. Throws format_error, also if it is missing or not a
  /// regular file, and io_error if the system refuses to read it.
  explicit record_batches(const std::filesystem::path& folder);
  /// The same with the text of a ready.json that the folder does not have, such as that of a part. Throws format_error.
  record_batches(const std::filesystem::path& folder, const std::string& ready_json);

  const std::filesystem::path& folder() const;
  /// Returns the text of ready.json.
  const std::string& ready_json() const;
  bool is_training() const;
  std::uint64_t batch_size() const;
  std::uint64_t batch_count() const;
  compression_type compression() const;
  const std::vector<record_column>& columns() const;
  /// Returns the names of the record files, in the order of their batches.
  const std::vector<std::string>& files() const;
  /// Throws format_error unless all record files are regular files of the sizes that ready.json lists.
  void check_files() const;

 private:
  friend class record_batch_reader;
  struct state;
  std::shared_ptr<const state> state_;
};

/// Reads the batches of one record file. Memory is bounded by the size of a batch. A file that is changed meanwhile
/// gives old or new values, or an error. Not thread-safe.
class record_batch_reader {
 public:
  /// file < files().size(). Throws format_error unless it is a regular file of the size that ready.json lists, and
  /// io_error.
  record_batch_reader(const record_batches& batches, std::size_t file);
  ~record_batch_reader();
  record_batch_reader(record_batch_reader&&) noexcept;
  record_batch_reader& operator=(record_batch_reader&&) noexcept;

  /// Reads the next batch: values[i] are those of columns()[i], aligned to their type, valid until the next call.
  /// Returns false after the last. Throws format_error (file, record, what was found and wanted), also for another
  /// number of records than ready.json lists, and, after the last one, for another CRC-32C of the file; io_error.
  bool next(std::vector<std::span<const std::byte>>& values);
  /// Returns the memory of the last batch, which stays valid as long as it is held: the next call of next() reads into
  /// other memory. Small batches share memory.
  std::shared_ptr<const std::byte[]> share();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace negpipe
