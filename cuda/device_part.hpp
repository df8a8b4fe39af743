// One device of the CUDA backend: its copy of the dataset, and the double buffers of calling threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cuda_backend.hpp"
#include "device_dataset.hpp"
#include "device_weights.hpp"
#include "double_buffer.hpp"
#include "memory.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/positives.hpp"
#include "stream.hpp"

namespace negpipe::cuda {

/// Immutable but for the idle double buffers. Thread-safe.
class device_part {
 public:
  /// Uploads the dataset and the weights and waits for them. Throws backend_error, device_memory_error.
  device_part(int device, const positives_index& index, const std::vector<dataset_weights>& weights,
              const cuda_backend_options& options);
  ~device_part();
  device_part(const device_part&) = delete;
  device_part& operator=(const device_part&) = delete;

  int device() const { return device_; }
  device_view view() const { return data_->view(); }
  device_memory& memory() const { return *memory_; }
  std::string description() const;

  /// Throws option_error for a host's draw that is none of the constructor's weights; uniform ones are fine.
  void check_weights(const core::weighted_draw& draw) const { static_cast<void>(find(draw)); }
  /// Returns a plan of the host with its weights in device memory.
  template <typename Plan>
  Plan on_device(Plan plan) const {
    plan.weights = find(plan.weights);
    return plan;
  }

  /// Returns the size for a double buffer of a call: options.buffer_bytes, or more if one unit needs it.
  std::size_t buffer_bytes_for(std::size_t unit_bytes) const { return std::max(unit_bytes, buffer_bytes_); }

  /// Returns a double buffer of at least unit_bytes for one thread: an idle one or a new one.
  std::unique_ptr<double_buffer> take_buffers(std::size_t unit_bytes) const;
  void return_buffers(std::unique_ptr<double_buffer> buffers) const;

 private:
  /// Returns the device's copy of weights of the host; null if there is none.
  const device_weights* known(const core::weighted_draw& draw) const;
  core::weighted_draw find(const core::weighted_draw& draw) const;

  int device_;
  std::size_t buffer_bytes_;
  std::unique_ptr<device_memory> memory_;
  std::unique_ptr<stream> setup_;
  std::vector<device_weights> weights_;
  std::unique_ptr<device_dataset> data_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<double_buffer>> buffers_;
};

}  // namespace negpipe::cuda
