#include "ceilings.hpp"

#include "launch.hpp"
#include "negpipe/core/arith.hpp"

namespace negpipe::bench {

namespace {

constexpr unsigned block_size = 256;
constexpr int instructions_a_loop = 64;
constexpr std::uint32_t reads_a_thread = 64;

unsigned full_grid() { return cuda::grid_for(UINT64_MAX); }

// Alternates multiply-adds and exclusive ors: each kind has its own pipe, which accepts an instruction every other
// cycle, so one kind alone would reach half the issue rate.
__global__ void mixed_integer(std::uint32_t* out, std::uint32_t loop_count, std::uint32_t factor, std::uint32_t mask) {
  std::uint32_t chain[8];
  for (std::uint32_t c = 0; c < 8; ++c) chain[c] = threadIdx.x + c;
  for (std::uint32_t i = 0; i < loop_count; ++i) {
#pragma unroll
    for (int k = 0; k < instructions_a_loop / 2; ++k) chain[k % 8] = (chain[k % 8] * factor + 12345U) ^ mask;
  }
  std::uint32_t sum = 0;
  for (const std::uint32_t c : chain) sum += c;
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

// Reads 16 bytes of each sector: memory moves whole sectors, and a second read would be a second request.
__global__ void read_sectors(const uint4* sectors, std::uint32_t sector_count, std::uint32_t* out) {
  std::uint32_t state = (blockIdx.x * blockDim.x + threadIdx.x) * 0x9E3779B1U + 1;
  std::uint32_t sum = 0;
  for (std::uint32_t i = 0; i < reads_a_thread; i += 8) {
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      state = state * 1664525U + 1013904223U;
      const std::uint32_t place = core::mul_hi((state ^ state >> 15) * 0x2C1B3C6DU, sector_count);
      const uint4 half = sectors[2 * static_cast<std::uint64_t>(place)];
      sum += half.x ^ half.y ^ half.z ^ half.w;
    }
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

}  // namespace

double copy_bytes_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                             std::uint64_t bytes) {
  cuda::device_buffer<std::byte> from(bytes, memory, stream);
  cuda::device_buffer<std::byte> to(bytes, memory, stream);
  NEGPIPE_CUDA_CHECK(cudaMemsetAsync(from.data(), 1, bytes, stream));
  const timing t = time_on_device(how, memory, stream, [&](int) {
    NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, stream));
  });
  return 2.0 * static_cast<double>(bytes) / t.median_seconds;  // read and written
}

double random_sectors_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                                 std::uint64_t footprint_bytes) {
  const unsigned grid = full_grid();
  cuda::device_buffer<uint4> sectors(footprint_bytes / 32 * 2, memory, stream);
  cuda::device_buffer<std::uint32_t> out(grid * block_size, memory, stream);
  NEGPIPE_CUDA_CHECK(cudaMemsetAsync(sectors.data(), 1, sectors.size_bytes(), stream));
  const timing t = time_on_device(how, memory, stream, [&](int) {
    read_sectors<<<grid, block_size, 0, stream>>>(sectors.data(), static_cast<std::uint32_t>(footprint_bytes / 32),
                                                  out.data());
    NEGPIPE_CUDA_CHECK(cudaGetLastError());
  });
  return static_cast<double>(grid) * block_size * reads_a_thread / t.median_seconds;
}

double instructions_per_second(const protocol& how, std::uint32_t loops, cuda::device_memory& memory,
                               cudaStream_t stream) {
  const unsigned grid = full_grid();
  cuda::device_buffer<std::uint32_t> out(grid * block_size, memory, stream);
  const timing t = time_on_device(how, memory, stream, [&](int) {
    mixed_integer<<<grid, block_size, 0, stream>>>(out.data(), loops, 1664525U, 0x5A5A5A5AU);
    NEGPIPE_CUDA_CHECK(cudaGetLastError());
  });
  return static_cast<double>(grid) * block_size * loops * instructions_a_loop / t.median_seconds;
}

double bus_bytes_per_second(const protocol& how, cuda::device_memory& memory, cudaStream_t stream,
                            std::uint64_t bytes) {
  cuda::device_buffer<std::byte> from(bytes, memory, stream);
  cuda::pinned_buffer<std::byte> to(bytes);
  NEGPIPE_CUDA_CHECK(cudaMemsetAsync(from.data(), 1, bytes, stream));
  const timing t = time_on_device(how, memory, stream, [&](int) {
    NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToHost, stream));
  });
  return static_cast<double>(bytes) / t.median_seconds;
}

}  // namespace negpipe::bench
