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
  int late_runs;  ///< runs whose times may include host work, because the stream was not held back long enough
};

/// Number of runs, and whether the L2 cache is flushed before each.
struct protocol {
  int warm_up = 5;
  int runs = 30;
  std::uint64_t flush_bytes = 0;  ///< read before each run; a multiple of the L2 cache flushes it
};

/// Times work on the stream, one pair of events per run. The stream is held back until events and work of a run are
/// queued, so that the time excludes the work of the host for a launch.
timing time_on_device(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                      const std::function<void(int run)>& work);

}  // namespace negpipe::bench
