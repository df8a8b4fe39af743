// Negatives for users in CUDA device memory, drawn on the caller's stream. Needs no CUDA header.
//
// In builds without CUDA, and on machines without a device, the constructor throws backend_error with the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "negpipe/dataset.hpp"
#include "negpipe/device.hpp"
#include "negpipe/device_allocator.hpp"
#include "negpipe/negative_sampler.hpp"

namespace negpipe {

/// User or item numbers in device memory, int32 or int64. Non-owning.
class device_ids {
 public:
  device_ids() = default;
  device_ids(const std::int32_t* values, std::size_t count) : values_(values), count_(count) {}
  device_ids(const std::int64_t* values, std::size_t count) : values_(values), count_(count), is_wide_(true) {}

  const void* data() const { return values_; }
  std::size_t size() const { return count_; }
  bool is_wide() const { return is_wide_; }  ///< int64
  std::size_t value_bytes() const { return is_wide_ ? 8 : 4; }

 private:
  const void* values_ = nullptr;
  std::size_t count_ = 0;
  bool is_wide_ = false;
};

/// draw_call with arrays in device memory. A captured CUDA graph draws anew at each launch if it changes *device_at.
struct device_draw_call {
  std::uint32_t negatives = 1;              ///< K per user, any number
  std::uint32_t at = 0;                     ///< the number of the call
  std::uint64_t offset = 0;                 ///< number of the first user in its batch
  const std::int64_t* device_at = nullptr;  ///< one number, added to at modulo 2^32; read when the kernels run
  /// One number, added to offset; read when the kernels run. The sum must not be negative.
  const std::int64_t* device_offset = nullptr;
  bool distinct = false;                    ///< no item twice among the K negatives of a user
  /// Further items, int32 [user count, X] row-major; negative numbers are ignored.
  std::span<const std::int32_t> excluded{};
};

/// Draws negatives on a CUDA device: the bytes of negative_sampler for the same dataset, options and call. Immutable;
/// copies share the dataset. Thread-safe, on any streams.
///
/// The members from sample to log_q_each queue work and return: they do not wait or allocate, may be captured in a CUDA
/// graph, and preserve the caller's current device and pending CUDA error. Their arrays must be memory of the sampler's
/// device, aligned to its type, and stay valid until the work is done. The last copy's destructor waits for the device.
/// They throw
///   - option_error for arrays of the wrong length or in other memory;
///   - the errors of earlier calls that only a kernel can find, once it has run: out_of_range_error for a user or item
///     number that does not exist, infeasible_error for a row that has fewer than K items left. Each is thrown once, by
///     the first member called after that; later errors replace earlier ones. Rows with an error get -1, no hits,
///     or what padding gives.
///   - backend_error.
class device_negative_sampler {
 public:
  /// Copies the dataset and the weights to the device and waits for the copy.
  /// - options: threads is ignored; bitset_budget is also limited to a quarter of the free device memory.
  /// - Throws what negative_sampler throws, option_error for a device that does not exist, backend_error,
  ///   device_memory_error.
  explicit device_negative_sampler(const dataset& data, const negative_options& options = {},
                                   const device_options& on = {});

  /// Queues K negatives per user: out [user count, K] row-major. The negatives of negative numbers are -1.
  /// - With distinct or excluded, a warp compares K * (K / 2 + X) pairs of items for each user.
  void sample(const device_ids& users, const device_draw_call& call, std::span<std::int32_t> out,
              device_stream stream) const;

  /// Queues K items that a whole batch shares: out [K]; see negative_sampler::sample_shared. call.excluded is [X].
  void sample_shared(const device_draw_call& call, std::span<std::int32_t> out, device_stream stream) const;

  /// Queues whether items are training positives: items and found are [user count, M] row-major, for any M. Sets 1 or
  /// 0; 0 for negative numbers. Exact.
  void contains(const device_ids& users, const device_ids& items, std::span<std::uint8_t> found,
                device_stream stream) const;
  /// Queues the same for the same items [M] of all users: a tile of an in-batch mask.
  void contains_each(const device_ids& users, const device_ids& items, std::span<std::uint8_t> found,
                     device_stream stream) const;

  /// Queues the logarithm of the probability of each item for its user: items and values are [user count, M] row-major,
  /// for any M. The values of negative_sampler::log_q, also for negative numbers.
  void log_q(const device_ids& users, const device_ids& items, std::span<float> values, device_stream stream) const;
  /// Queues the same for the same items [M] of all users.
  void log_q_each(const device_ids& users, const device_ids& items, std::span<float> values,
                  device_stream stream) const;

  /// Waits for the stream, and throws the errors that its kernels found. Not for streams that are being captured.
  void check(device_stream stream) const;

  /// Returns a name for messages, such as "cuda:0 (NVIDIA H100, bitset of 2 MiB)".
  std::string description() const;

 private:
  struct state;
  std::shared_ptr<const state> shared_;
};

}  // namespace negpipe
