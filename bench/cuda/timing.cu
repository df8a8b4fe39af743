#include "timing.hpp"

#include <algorithm>
#include <vector>

#include "launch.hpp"
#include "negpipe/core/arith.hpp"
#include "stream.hpp"

namespace negpipe::bench {

namespace {

constexpr unsigned block_size = 256;
constexpr std::int64_t first_hold_cycles = 100'000;  // about 50 us

// Keeps the stream busy. Reading the clock takes ten cycles or more, so the loop's bound matters only on ptxrun, whose
// clock is not a device's.
__global__ void hold(std::int64_t cycles) {
  const std::int64_t begin = clock64();
  for (std::int64_t i = 0; i < cycles / 8; ++i) {
    if (clock64() - begin >= cycles) return;
  }
}

// Only reads, so that no dirty line is written back during a measurement.
__global__ void read_zeros(const uint4* values, std::uint64_t count, std::uint32_t* other_found) {
  std::uint32_t found = 0;
  const std::uint64_t stride = static_cast<std::uint64_t>(gridDim.x) * blockDim.x;
  for (std::uint64_t i = static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    const uint4 value = values[i];
    found |= value.x | value.y | value.z | value.w;
  }
  if (found != 0) *other_found = found;
}

// Fills the L2 cache with clean lines that nothing else reads.
class cache_flush {
 public:
  cache_flush(std::uint64_t bytes, cuda::device_memory& memory, cudaStream_t stream)
      : zeros_(bytes / sizeof(uint4), memory, stream), found_(1, memory, stream), stream_(stream) {
    if (zeros_.size() == 0) return;
    NEGPIPE_CUDA_CHECK(cudaMemsetAsync(zeros_.data(), 0, zeros_.size_bytes(), stream));
  }

  void run() {
    if (zeros_.size() == 0) return;
    const unsigned grid = cuda::grid_for(core::ceil_div(zeros_.size(), block_size));
    read_zeros<<<grid, block_size, 0, stream_>>>(zeros_.data(), zeros_.size(), found_.data());
    NEGPIPE_CUDA_CHECK(cudaGetLastError());
  }

 private:
  cuda::device_buffer<uint4> zeros_;
  cuda::device_buffer<std::uint32_t> found_;
  cudaStream_t stream_;
};

bool has_passed(const cuda::event& mark) {
  const cudaError_t status = cudaEventQuery(mark.get());
  if (status == cudaErrorNotReady) {
    cuda::ignore(status);  // clears it, or the next launch would report it
    return false;
  }
  NEGPIPE_CUDA_CHECK(status);
  return true;
}

}  // namespace

timing time_on_device(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                      const std::function<void(int run)>& work) {
  cache_flush flush(how.flush_bytes, memory, stream);
  const cuda::event begin(true);
  const cuda::event end(true);
  std::vector<double> seconds;
  std::int64_t hold_cycles = first_hold_cycles;
  int late_runs = 0;
  for (int run = -how.warm_up; run < how.runs; ++run) {
    flush.run();
    hold<<<1, 1, 0, stream>>>(hold_cycles);
    NEGPIPE_CUDA_CHECK(cudaGetLastError());
    begin.record(stream);
    work(run + how.warm_up);
    end.record(stream);
    const bool is_late = has_passed(begin);
    end.synchronize();
    if (run < 0) {
      if (is_late) hold_cycles *= 2;
      continue;
    }
    float milliseconds = 0;
    NEGPIPE_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
    seconds.push_back(milliseconds / 1e3);
    late_runs += is_late ? 1 : 0;
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds[seconds.size() * 95 / 100], late_runs};
}

}  // namespace negpipe::bench
