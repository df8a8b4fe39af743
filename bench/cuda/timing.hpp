// Times of device work by CUDA events.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>

#include "memory.hpp"

namespace negpipe::bench {

struct timing {
  double median_seconds;
  double p95_seconds;
  int late_runs;  ///< runs whose times may hold the host's work, because the device was not held back long enough
};

/// How often work is run, and whether the L2 cache is emptied before each run.
struct protocol {
  int warm_up = 5;
  int runs = 30;
  std::uint64_t flush_bytes = 0;  ///< read before each run; several times the L2 cache empties it
};

/// Times work given to the stream, one event pair a run. The stream is held back until a run's events and its work are
/// all queued, so that the time is the device's alone, without what the host does for a launch.
timing time_on_device(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                      const std::function<void(int run)>& work);

}  // namespace negpipe::bench
