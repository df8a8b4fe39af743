// The weights of a dataset in device memory.
#pragma once

#include <cstdint>
#include <utility>

#include "memory.hpp"
#include "negpipe/core/weights.hpp"
#include "negpipe/item_weights.hpp"

namespace negpipe::cuda {

/// Owns the tables of weighted draws, on the host and on the device that was current at construction. Move-only.
class device_weights {
 public:
  /// Uniform.
  device_weights() = default;
  /// Does not wait: use the result in stream order.
  /// - weights: of a dataset of positive_count positives; no tables are copied if they are uniform.
  /// - Throws device_memory_error.
  device_weights(dataset_weights weights, std::uint64_t positive_count, device_memory& memory, cudaStream_t stream)
      : host_(std::move(weights)) {
    if (host_.draw() == nullptr) return;
    const core::weighted_draw& from = *host_.draw();
    columns_ = upload_async(from.columns, std::size_t{1} << (32 - from.shift), memory, stream);
    weight_sums_ = upload_async(from.weight_sums, std::size_t{from.item_count} + 1, memory, stream);
    row_sums_ = upload_async(from.row_sums, positive_count, memory, stream);
    draw_ = {columns_.data(), weight_sums_.data(), row_sums_.data(), from.item_count, from.shift};
  }

  /// Returns the same weights in the memory of this object, which must outlive the result.
  device_weights borrowed() const {
    device_weights same;
    same.host_ = host_;
    same.draw_ = draw_;
    return same;
  }

  /// Returns the draw for plans of the host; not set if uniform.
  core::weighted_draw host_draw() const { return host_.draw() == nullptr ? core::weighted_draw{} : *host_.draw(); }
  /// Returns the draw for kernels; not set if uniform.
  const core::weighted_draw& draw() const { return draw_; }

 private:
  dataset_weights host_;
  device_buffer<core::alias_column> columns_;
  device_buffer<std::uint32_t> weight_sums_;
  device_buffer<std::uint32_t> row_sums_;
  core::weighted_draw draw_{};
};

}  // namespace negpipe::cuda
