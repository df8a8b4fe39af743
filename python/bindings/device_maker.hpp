// One rank's part of each batch, in the memory of a CUDA device and in the types that the caller wants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "batch_maker.hpp"
#include "negpipe/device.hpp"
#include "negpipe/device_pool.hpp"

namespace negpipe::python {

/// Returns the type that kernels make for a column.
column_type made_type(const column& wanted);

/// Queues batches of one rank. Immutable; make() may be called from any number of threads at once.
class device_maker {
 public:
  virtual ~device_maker() = default;

  int device() const { return device_; }
  /// Batches in an epoch, the same for every rank.
  std::uint64_t batch_count() const { return batch_count_; }
  const std::vector<column>& columns() const { return columns_; }
  /// Bytes of device memory that make() needs for each batch, aligned to 256; 0 if none.
  std::size_t scratch_bytes() const { return extra_bytes_ + converted_bytes_; }

  /// Queues `count` batches: first, first + step, ... targets[i]: device memory for columns()[i], batch after batch,
  /// aligned to its type. scratch: count * scratch_bytes(), not used by concurrent work. Does not wait; may be captured
  /// in a CUDA graph. Throws option_error, backend_error.
  void make(std::uint32_t epoch, std::uint64_t first, std::span<void* const> targets, std::byte* scratch,
            device_stream stream, std::uint64_t count = 1, std::uint64_t step = 1) const;

  /// How many batches from this one on, at most `limit`, make_run() can make at once.
  virtual std::uint64_t run_length(std::uint64_t, std::uint64_t) const { return 1; }
  /// Queues `count` batches in a row. made: columns in the types that kernels make. workspace: of extra_bytes.
  virtual void make_run(std::uint32_t epoch, std::uint64_t batch, std::uint64_t count, std::span<void* const> made,
                        std::byte* workspace, device_stream stream) const = 0;

 protected:
  device_maker(int device, std::uint64_t batch_count, std::vector<column> columns, std::size_t extra_bytes = 0);

 private:
  int device_;
  std::uint64_t batch_count_;
  std::vector<column> columns_;
  std::size_t extra_bytes_;
  std::size_t converted_bytes_;
  std::vector<std::ptrdiff_t> converted_at_;  ///< of each column in scratch memory; -1: made where it is wanted
};

/// The same batches as make_training_maker.
std::shared_ptr<const device_maker> make_device_training_maker(const sampler& source, const output_types& types,
                                                               std::uint64_t rank, std::uint64_t world_size,
                                                               int device);
/// The same batches as make_evaluation_maker. source has batches of all ranks together.
std::shared_ptr<const device_maker> make_device_evaluation_maker(const sampler& source, const output_types& types,
                                                                 std::uint64_t rank, std::uint64_t world_size,
                                                                 int device);

/// A sequence of pointwise batches whose position is in device memory: a captured CUDA graph makes the next batch at
/// every launch. Not thread-safe; fills must not overlap on the device.
class replay_maker {
 public:
  /// Waits until it is ready.
  replay_maker(const sampler& source, const output_types& types, std::uint64_t rank, std::uint64_t world_size,
               int device, batch_cursor begin);

  const std::vector<column>& columns() const { return columns_; }
  std::size_t scratch_bytes() const;
  /// Queues this rank's part of the next batch and advances. Does not wait; may be captured.
  void make_next(std::span<void* const> targets, std::byte* scratch, device_stream stream) const;
  void seek(batch_cursor next, device_stream stream) const { replay_.seek(next, stream); }
  /// Waits for the stream, and returns the batch that comes next.
  batch_cursor position(device_stream stream) const { return replay_.position(stream); }

 private:
  int device_;
  std::uint64_t first_;  ///< of the rank's part in a batch
  std::vector<column> columns_;
  std::vector<column> whole_;  ///< of all ranks, as kernels make them
  device_sampler source_;
  device_replay replay_;
};

}  // namespace negpipe::python
