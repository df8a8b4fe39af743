// Device data of the samplers on a device, and the checks of what callers give them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "device_dataset.hpp"
#include "device_weights.hpp"
#include "fill_points.hpp"
#include "memory.hpp"
#include "negpipe/column_checks.hpp"
#include "negpipe/device.hpp"
#include "negpipe/item_weights.hpp"
#include "stream.hpp"

namespace negpipe::cuda {

/// Returns device. Throws option_error if it does not exist, backend_error without any device.
int checked_device(int device);

}  // namespace negpipe::cuda

namespace negpipe::detail {

/// Returns the membership form that the options ask for.
cuda::membership_form form_of(const device_options& on);

/// Throws option_error unless data is memory of the device, or managed memory, and aligned. what: for the message.
void check_address(const char* what, const void* data, std::uint64_t value_bytes, int device);

/// The dataset of a sampler, and its weights. Created and destroyed with its device current.
struct device_data {
  explicit device_data(const device_options& on);
  ~device_data();
  device_data(const device_data&) = delete;
  device_data& operator=(const device_data&) = delete;

  /// Takes over a dataset that is being built on the stream, and waits for the stream.
  void take(cuda::device_dataset&& made);

  /// Returns weights of the dataset in device memory, for use in stream order.
  cuda::device_weights upload(const dataset_weights& given, std::uint64_t positive_count) {
    return {given, positive_count, *memory, stream};
  }

  /// Returns a plan of the host with its weights in device memory.
  training_plan on_device(training_plan plan) const {
    plan.weights = weights.draw();
    return plan;
  }
  evaluation_plan on_device(evaluation_plan plan) const {
    plan.weights = evaluation_weights.draw();
    return plan;
  }

  std::string description() const;
  memory_location location() const { return {memory_space::device, device}; }

  int device;
  device_stream stream;
  std::unique_ptr<cuda::device_memory> memory;
  std::optional<cuda::device_dataset> dataset;
  cuda::device_weights weights;             ///< uniform by default
  cuda::device_weights evaluation_weights;  ///< may borrow the memory of weights
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
