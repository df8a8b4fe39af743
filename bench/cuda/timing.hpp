// Times of device work by CUDA events.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "memory.hpp"
#include "stream.hpp"

namespace negpipe::bench {

struct timing {
  double median_seconds;
  double p95_seconds;
};

/// How often work is run, and whether the L2 cache is emptied before each run.
struct protocol {
  int warm_up = 5;
  int runs = 30;
  std::uint64_t flush_bytes = 0;  ///< written before each run; several times the L2 cache empties it
};

/// Times work given to the stream, one event pair a run.
inline timing time_on_device(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                             const std::function<void(int run)>& work) {
  cuda::device_buffer<std::byte> flush(how.flush_bytes, memory, stream);
  const cuda::event begin(true);
  const cuda::event end(true);
  std::vector<double> seconds;
  for (int run = -how.warm_up; run < how.runs; ++run) {
    if (how.flush_bytes != 0) {
      NEGPIPE_CUDA_CHECK(cudaMemsetAsync(flush.data(), run & 0xFF, flush.size_bytes(), stream));
    }
    begin.record(stream);
    work(run + how.warm_up);
    end.record(stream);
    end.synchronize();
    float milliseconds = 0;
    NEGPIPE_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
    if (run >= 0) seconds.push_back(milliseconds / 1e3);
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds[seconds.size() * 95 / 100]};
}

}  // namespace negpipe::bench
