// Device data of a device_sampler and its replays.
#pragma once

#include <memory>
#include <optional>

#include "device_dataset.hpp"
#include "fill_points.hpp"
#include "memory.hpp"
#include "negpipe/column_checks.hpp"
#include "negpipe/device.hpp"
#include "stream.hpp"

namespace negpipe::cuda {

/// Returns device. Throws option_error if it does not exist, backend_error without any device.
int checked_device(int device);

}  // namespace negpipe::cuda

namespace negpipe::detail {

/// The dataset of a device_sampler. Created and destroyed with its device current.
struct device_data {
  explicit device_data(const device_options& on);
  ~device_data();
  device_data(const device_data&) = delete;
  device_data& operator=(const device_data&) = delete;

  /// Takes over a dataset that is being built on the stream, and waits for it.
  void take(cuda::device_dataset&& made);

  memory_location location() const { return {memory_space::device, device}; }

  int device;
  device_stream stream;
  std::unique_ptr<cuda::device_memory> memory;
  std::optional<cuda::device_dataset> dataset;
  dataset_counts counts{};
};

/// The cursor of a device_replay, and the state derived from it.
struct replay_data {
  replay_data(std::shared_ptr<const device_data> owner, const training_plan& of, std::uint32_t batches);
  ~replay_data();
  replay_data(const replay_data&) = delete;
  replay_data& operator=(const replay_data&) = delete;

  std::shared_ptr<const device_data> data;
  training_plan plan;
  cuda::cursor_state initial;
  cuda::device_buffer<batch_cursor> cursor;
  cuda::device_buffer<cuda::cursor_state> states;  ///< one per batch of a fill
};

}  // namespace negpipe::detail
