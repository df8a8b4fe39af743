// The records of one worker: batches that are filled, then encoded.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "batch_buffers.hpp"
#include "negpipe/fill_queue.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/sampler.hpp"
#include "record_set.hpp"

namespace negpipe {

/// Order in which the batches of a folder are made: round robin over the files, ascending within each. Thread-safe.
class batch_order {
 public:
  batch_order(const file_layout& layout, record::file_range range) : layout_(layout), range_(range) {}

  /// Returns the next batch through batch; false if none is left.
  bool next(std::uint64_t& batch);

 private:
  file_layout layout_;
  record::file_range range_;
  std::atomic<std::uint64_t> turn_{0};
};

/// How the batches of a folder are filled.
struct batch_source {
  batch_shape shape;
  std::function<void(const sampler& source, std::uint64_t batch, batch_buffers& buffers)> fill;
  std::function<std::unique_ptr<fill_queue>(const sampler& source)> make_queue;
  std::function<void(const sampler& source, std::uint64_t batch, fill_queue& queue, column_bytes out)> push;
};

/// Makes the records of the batches that it takes from an order. For one thread.
class record_lane {
 public:
  virtual ~record_lane() = default;
  /// Makes the record of the next batch. Returns it until the next call, and its batch; empty if none is left.
  virtual std::span<const std::byte> next(std::uint64_t& batch) = 0;
};

/// Makes a lane. All arguments must outlive it.
/// - Device: the next batch is filled while the record of this one is completed and written. The device writes the
///   columns into the record; the CPU only computes its checksum.
/// - CPU: each batch is filled into columns that are aligned to their types, and encoded by one pass that copies and
///   checksums.
std::unique_ptr<record_lane> make_record_lane(const batch_source& batches, const sampler& source,
                                              const record::record_template& shape, batch_order& order);

}  // namespace negpipe
