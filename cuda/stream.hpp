// Owners of streams and events, and a guard of the current device. Destructors never throw.
#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "check.hpp"

namespace negpipe::cuda {

/// Makes a device current for the calling thread, and restores the previous one at the end of the scope.
class device_guard {
 public:
  explicit device_guard(int device) {
    NEGPIPE_CUDA_CHECK(cudaGetDevice(&former_));
    if (device == former_) return;
    NEGPIPE_CUDA_CHECK(cudaSetDevice(device));
    changed_ = true;
  }
  ~device_guard() {
    if (changed_) ignore(cudaSetDevice(former_));
  }
  device_guard(const device_guard&) = delete;
  device_guard& operator=(const device_guard&) = delete;

 private:
  int former_ = 0;
  bool changed_ = false;
};

/// device_guard for destructors: does nothing if the device cannot be made current.
class quiet_device_guard {
 public:
  explicit quiet_device_guard(int device) noexcept {
    const cudaError_t status = cudaGetDevice(&former_);
    ignore(status);
    if (status != cudaSuccess || device == former_) return;
    const cudaError_t set = cudaSetDevice(device);
    ignore(set);
    changed_ = set == cudaSuccess;
  }
  ~quiet_device_guard() {
    if (changed_) ignore(cudaSetDevice(former_));
  }
  quiet_device_guard(const quiet_device_guard&) = delete;
  quiet_device_guard& operator=(const quiet_device_guard&) = delete;

 private:
  int former_ = 0;
  bool changed_ = false;
};

/// A stream of the current device without implicit synchronisation with the legacy default stream. Move-only.
class stream {
 public:
  stream() { NEGPIPE_CUDA_CHECK(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking)); }
  ~stream() {
    if (handle_ != nullptr) ignore(cudaStreamDestroy(handle_));
  }
  stream(stream&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  stream& operator=(stream&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }

  cudaStream_t get() const { return handle_; }
  /// Waits for all work queued to the stream.
  void synchronize() const { NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(handle_)); }

 private:
  cudaStream_t handle_ = nullptr;
};

/// An event, without timing by default. Move-only.
class event {
 public:
  explicit event(bool timing = false) {
    NEGPIPE_CUDA_CHECK(cudaEventCreateWithFlags(&handle_, timing ? cudaEventDefault : cudaEventDisableTiming));
  }
  ~event() {
    if (handle_ != nullptr) ignore(cudaEventDestroy(handle_));
  }
  event(event&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  event& operator=(event&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }

  cudaEvent_t get() const { return handle_; }
  void record(cudaStream_t stream) const { NEGPIPE_CUDA_CHECK(cudaEventRecord(handle_, stream)); }
  void synchronize() const { NEGPIPE_CUDA_CHECK(cudaEventSynchronize(handle_)); }

 private:
  cudaEvent_t handle_ = nullptr;
};

}  // namespace negpipe::cuda
