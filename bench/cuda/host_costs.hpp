// Costs outside the kernels: launches, graphs, the upload of a dataset, and sorting interactions on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <nlohmann/json.hpp>

#include "device_dataset.hpp"
#include "memory.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/device.hpp"
#include "timing.hpp"

namespace negpipe::bench {

/// A dataset's interactions in device memory, in reverse order, and its held-out items.
class reversed_interactions {
 public:
  /// Waits for the stream.
  reversed_interactions(const dataset& source, cuda::device_memory& memory, cudaStream_t stream);

  device_interactions view() const {
    return {user_count_, item_count_, {users_.data(), users_.size()}, {items_.data(), items_.size()}, {},
            {heldout_.data(), heldout_.size()}};
  }

 private:
  std::int32_t user_count_;
  std::int32_t item_count_;
  cuda::device_buffer<std::int32_t> users_;
  cuda::device_buffer<std::int32_t> items_;
  cuda::device_buffer<std::int32_t> heldout_;
};

/// Returns, for one batch of batch_size points, the host's time to queue a fill, to queue the next batch of a replay,
/// and to launch a graph of it, and the device's time for that graph, all in seconds.
nlohmann::ordered_json time_launches(const protocol& how, const dataset& source, std::uint64_t batch_size,
                                     cuda::device_memory& memory, cudaStream_t stream);

/// Returns the time of uploading the dataset and building the structures of a form, until the device is done.
nlohmann::ordered_json time_upload(const protocol& how, const dataset& source, std::uint64_t budget_bytes,
                                   cuda::membership_form form, cuda::device_memory& memory, cudaStream_t stream);

/// Returns the time of building sorted rows from the dataset's interactions in device memory, in reverse order.
nlohmann::ordered_json time_sort(const protocol& how, const dataset& source, cuda::device_memory& memory,
                                 cudaStream_t stream);

}  // namespace negpipe::bench
