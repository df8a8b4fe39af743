// Batches in CUDA device memory, made on the caller's stream. Needs no CUDA header.
//
// In builds without CUDA, and on machines without a device, the constructors throw backend_error with the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "negpipe/batch.hpp"
#include "negpipe/core/batch_cursor.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/device_allocator.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/sampler.hpp"

namespace negpipe {

namespace detail {
struct device_data;
struct replay_data;
}  // namespace detail

struct device_options {
  int device = 0;                  ///< CUDA device number
  device_stream stream = nullptr;  ///< for allocations and construction; must outlive the sampler
  device_allocator allocator = {};
  /// How membership is looked up; unset: the form with the fewest random reads. Does not change the output.
  std::optional<core::membership> membership = {};
};

/// Interactions in device memory.
struct device_interactions {
  std::int32_t user_count;              ///< users are [0, user_count)
  std::int32_t item_count;              ///< items are [0, item_count)
  std::span<const std::int32_t> users;  ///< [row_count], any order
  std::span<const std::int32_t> items;  ///< [row_count]
  /// [row_count], or empty if the rows are in order of time. Of equal timestamps, the later row is the later one.
  std::span<const std::int64_t> timestamps = {};
  /// [user_count], or empty to hold out each user's last row.
  std::span<const std::int32_t> heldout = {};
};

/// A sequence of batches with its cursor in device memory: a captured CUDA graph makes the next batch at every launch.
/// Copies share the cursor. Not thread-safe; fills must not overlap on the device.
class device_replay {
 public:
  /// Queues the next batches_per_fill batches, contiguous in the columns, and advances the cursor. Batch 0 of the next
  /// cycle follows the last batch of a cycle; cycle 0 follows cycle 2^32 - 1. Does not wait or allocate; may be
  /// captured. Throws what device_sampler::fill throws.
  void fill_next(const training_columns& out, device_stream stream) const;

  /// Queues a move of the cursor. Throws option_error unless next.batch < batch_count().
  void seek(batch_cursor next, device_stream stream) const;

  /// Returns the cursor in device memory.
  const batch_cursor* cursor() const;

  /// Waits for the stream, on which the fills are queued, and returns the cursor: the batch that the next fill makes.
  /// Throws backend_error.
  batch_cursor position(device_stream stream) const;

 private:
  friend class device_sampler;
  explicit device_replay(std::shared_ptr<detail::replay_data> data) : data_(std::move(data)) {}
  std::shared_ptr<detail::replay_data> data_;
};

/// Makes training and evaluation batches on a CUDA device, with the bytes of the CPU for the same dataset, options,
/// cycle and batch. Immutable; copies share the dataset. Fills are thread-safe and may run on any streams.
///
/// Fills queue work and return: they do not wait, do not allocate, and may be captured in a CUDA graph. They preserve
/// the caller's current device and pending CUDA error. Columns must be memory of the sampler's device.
///
/// A sampler may be destroyed while its fills run: the last copy's destructor waits for the device, so it must not run
/// while a graph is captured. The same holds for replays; a captured graph needs its replay as long as it runs.
class device_sampler {
 public:
  /// Copies the dataset to the device and waits for the copy.
  /// - options: device and threads are ignored; bitset_budget is also limited to a quarter of the free device memory.
  /// - Throws option_error (options, a device that does not exist), infeasible_error (see plan_evaluation),
  ///   backend_error, device_memory_error.
  explicit device_sampler(const dataset& data, const sampler_options& options = {}, const device_options& on = {});

  /// Makes the same batches as a sampler.
  explicit device_sampler(const sampler& same, const device_options& on = {})
      : device_sampler(same.data(), same.options(), on) {}

  /// Builds the dataset on the device. A repeated pair counts once, at its latest time. A user's held-out pair is not a
  /// training positive. Also throws option_error for columns of unequal length or outside the device's memory, an id
  /// out of range, a user without a row to hold out, and rows that leave no training positive. With weights in the
  /// options, copies the rows to the host once: tables are made and users are checked there.
  explicit device_sampler(const device_interactions& data, const sampler_options& options = {},
                          const device_options& on = {});

  const training_plan& plan() const { return training_; }
  const std::optional<negpipe::evaluation_plan>& evaluation_plan() const { return evaluation_; }
  std::uint64_t batch_count() const { return training_.batch_count; }
  std::uint64_t evaluation_batch_count() const { return evaluation_ ? evaluation_->batch_count : 0; }
  /// Returns a name for messages, such as "cuda:0 (NVIDIA H100, bitset of 2 MiB)".
  std::string description() const;

  /// Queues one batch of a cycle, in record order. Throws option_error (a batch out of range, columns that do not fit),
  /// backend_error.
  void fill(std::uint32_t cycle, std::uint64_t batch, const training_columns& out, device_stream stream) const {
    fill(cycle, batch, 1, out, stream);
  }
  /// Queues batches [first, first + count), contiguous in the columns: in one launch, or up to three if the first or
  /// last batch of resample padding is among them.
  void fill(std::uint32_t cycle, std::uint64_t first, std::uint64_t count, const training_columns& out,
            device_stream stream) const;

  /// Queues one batch of the pairwise layout, in record order. Throws option_error, backend_error.
  void fill(std::uint32_t cycle, std::uint64_t batch, const pair_columns& out, device_stream stream) const;

  /// Queues the points at positions [first, first + count) of a cycle, as sampler::fill_points; fill_rows does the same
  /// for the pairwise layout. With padding_policy::resample, records swap the first and the last batch; positions do
  /// not: see training_plan::first_position. Throws option_error, backend_error.
  void fill_points(std::uint32_t cycle, std::uint64_t first, std::uint64_t count, const training_columns& out,
                   device_stream stream) const;
  void fill_rows(std::uint32_t cycle, std::uint64_t first, std::uint64_t count, const pair_columns& out,
                 device_stream stream) const;

  /// Queues a batch of evaluation rows.
  /// - workspace: device memory of evaluation_workspace_bytes(), not used by concurrent work.
  /// - Throws option_error, backend_error.
  void fill_evaluation(std::uint64_t batch, const evaluation_columns& out, std::span<std::byte> workspace,
                       device_stream stream) const;
  /// Queues evaluation rows [first, first + count), at most as many as a batch has. The last batch's rows past the last
  /// user are zeros.
  void fill_evaluation_rows(std::uint64_t first, std::uint64_t count, const evaluation_columns& out,
                            std::span<std::byte> workspace, device_stream stream) const;
  /// Returns 0 unless negatives are drawn with replacement and a row is longer than 4,096 values.
  std::uint64_t evaluation_workspace_bytes() const;

  /// Makes a replay of the pointwise layout that begins at a cursor. Allocates on the stream of device_options and
  /// waits.
  /// - batches_per_fill: 1 to min(batch_count(), 65,535).
  /// - Throws option_error, backend_error, device_memory_error.
  device_replay make_replay(batch_cursor begin = {}, std::uint32_t batches_per_fill = 1) const;

 private:
  std::shared_ptr<const detail::device_data> data_;
  training_plan training_{};
  std::optional<negpipe::evaluation_plan> evaluation_;
};

}  // namespace negpipe
