#include <string>

#include "launch.hpp"
#include "negpipe/core/arith.hpp"
#include "negpipe/device_pool.hpp"
#include "negpipe/error.hpp"
#include "stream.hpp"

namespace negpipe {

namespace {

template <typename From, typename To>
__global__ void convert(const From* from, To* to, std::uint64_t count) {
  const std::uint64_t stride = gridDim.x * static_cast<std::uint64_t>(blockDim.x);
  for (std::uint64_t i = blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x; i < count; i += stride) {
    to[i] = static_cast<To>(from[i]);
  }
}

__global__ void add(std::int32_t* values, std::int32_t added, std::uint64_t count) {
  const std::uint64_t stride = gridDim.x * static_cast<std::uint64_t>(blockDim.x);
  for (std::uint64_t i = blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x; i < count; i += stride) {
    values[i] += added;
  }
}

void check_sizes(std::size_t from, std::size_t to) {
  if (from == to) return;
  throw option_error("the target has room for " + std::to_string(to) + " values, " + std::to_string(from) + " wanted");
}

template <typename From, typename To>
void launch_convert(std::span<const From> from, std::span<To> to, int device, device_stream stream) {
  check_sizes(from.size(), to.size());
  if (from.empty()) return;
  const cuda::device_guard current(device);
  const cuda::launcher on{stream};
  on("launch of convert", convert<From, To>, cuda::grid_for(core::ceil_div(from.size(), on.block_size)), from.data(),
     to.data(), static_cast<std::uint64_t>(from.size()));
}

}  // namespace

void convert_async(std::span<const std::int8_t> from, std::span<float> to, int device, device_stream stream) {
  launch_convert(from, to, device, stream);
}
void convert_async(std::span<const std::int8_t> from, std::span<std::int64_t> to, int device, device_stream stream) {
  launch_convert(from, to, device, stream);
}
void convert_async(std::span<const std::int32_t> from, std::span<std::int64_t> to, int device, device_stream stream) {
  launch_convert(from, to, device, stream);
}

void copy_async(std::span<const std::byte> from, std::span<std::byte> to, int device, device_stream stream) {
  check_sizes(from.size(), to.size());
  if (from.empty()) return;
  const cuda::device_guard current(device);
  NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(to.data(), from.data(), from.size(), cudaMemcpyDeviceToDevice, stream));
}

void add_async(std::span<std::int32_t> values, std::int32_t added, int device, device_stream stream) {
  if (values.empty() || added == 0) return;
  const cuda::device_guard current(device);
  const cuda::launcher on{stream};
  on("launch of add", add, cuda::grid_for(core::ceil_div(values.size(), on.block_size)), values.data(), added,
     static_cast<std::uint64_t>(values.size()));
}

void zero_async(std::span<std::byte> to, int device, device_stream stream) {
  if (to.empty()) return;
  const cuda::device_guard current(device);
  NEGPIPE_CUDA_CHECK(cudaMemsetAsync(to.data(), 0, to.size(), stream));
}

}  // namespace negpipe
