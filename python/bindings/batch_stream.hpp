// Batches of an epoch in order, made ahead by threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "batch_maker.hpp"
#include "buffer_pool.hpp"

namespace negpipe::python {

struct stream_range {
  std::uint32_t epoch = 0;
  std::uint64_t first = 0;
  std::uint64_t step = 1;  ///< 2: every second batch, and so on, for several concurrent streams
};

/// Delivers batches first, first + step, ... of an epoch. Thread-safe: concurrent callers of next() get one batch each.
/// - prefetch: number of threads that make batches ahead, two each, so that none waits for the caller. 0: next() makes
///   each batch.
class batch_stream {
 public:
  batch_stream(std::shared_ptr<const batch_maker> maker, std::shared_ptr<buffer_pool> pool, const stream_range& range,
               unsigned prefetch);
  ~batch_stream();
  batch_stream(const batch_stream&) = delete;
  batch_stream& operator=(const batch_stream&) = delete;

  /// Waits for the next batch; empty after the last one and after close(). Does not use Python. Throws the exceptions
  /// of the batch_maker, and backend_error in a forked process.
  std::optional<buffer_pool::block> next();

  /// Ends the threads and waits for them, at most as long as one batch takes. A waiting next() returns empty.
  void close() noexcept;

  /// Returns false in a process forked from the one that made the stream: it cannot continue there.
  bool belongs_to_this_process() const { return pool_->belongs_to_this_process(); }

 private:
  struct state;

  std::shared_ptr<const batch_maker> maker_;
  std::shared_ptr<buffer_pool> pool_;
  stream_range range_;
  std::atomic<std::uint64_t> next_;  // batch that next() makes; without threads only
  std::unique_ptr<state> ahead_;     // with threads only
  std::atomic<bool> closed_ = false;
};

/// Returns the offset of each column in a block that holds the columns of a batch one after the other.
std::vector<std::size_t> column_offsets(const std::vector<column>& columns);
/// Returns the size of such a block.
std::size_t block_bytes(const std::vector<column>& columns);
/// Makes a batch in a block of the pool.
buffer_pool::block make_block(const batch_maker& maker, buffer_pool& pool, std::uint32_t epoch, std::uint64_t batch);

}  // namespace negpipe::python
