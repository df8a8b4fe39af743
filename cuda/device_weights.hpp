// The tables of weighted draws in device memory.
#pragma once

#include <cstdint>

#include "memory.hpp"
#include "negpipe/core/weights.hpp"

namespace negpipe::cuda {

/// Owns a copy of the tables of a core::weighted_draw on the device that was current at construction. Move-only.
class device_weights {
 public:
  /// Uniform.
  device_weights() = default;
  /// Does not wait: use the result in stream order, and keep the host's tables until the stream has reached this point.
  /// - host: tables in host memory, for a dataset of positive_count positives.
  /// - Throws device_memory_error.
  device_weights(const core::weighted_draw& host, std::uint64_t positive_count, device_memory& memory,
                 cudaStream_t stream)
      : columns_(upload_async(host.columns, std::size_t{1} << (32 - host.shift), memory, stream)),
        weight_sums_(upload_async(host.weight_sums, std::size_t{host.item_count} + 1, memory, stream)),
        row_sums_(upload_async(host.row_sums, positive_count, memory, stream)),
        draw_{columns_.data(), weight_sums_.data(), row_sums_.data(), host.item_count, host.shift} {}

  bool is_uniform() const { return !draw_.is_set(); }
  /// Returns the draw for kernels; not set if uniform.
  const core::weighted_draw& draw() const { return draw_; }

 private:
  device_buffer<core::alias_column> columns_;
  device_buffer<std::uint32_t> weight_sums_;
  device_buffer<std::uint32_t> row_sums_;
  core::weighted_draw draw_{};
};

}  // namespace negpipe::cuda
