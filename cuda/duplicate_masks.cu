#include "duplicate_masks.hpp"

#include <cub/block/block_discontinuity.cuh>
#include <cub/block/block_load.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/device/device_segmented_sort.cuh>
#include <cuda/std/functional>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>

#include <algorithm>

#include "launch.hpp"
#include "negpipe/core/arith.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

__device__ std::uint32_t load_item(const void* items, item_type width, std::uint64_t place) {
  return width == item_type::uint16 ? static_cast<const std::uint16_t*>(items)[place]
                                    : static_cast<std::uint32_t>(static_cast<const std::int32_t*>(items)[place]);
}

// A block a row. Places past the row's end hold the greatest key; the sort is stable, so they stay behind it.
template <int Threads, int Each>
__global__ void __launch_bounds__(Threads)
    mark_short_rows(const void* items, item_type width, int item_bits, std::uint64_t row_count,
                    std::uint32_t row_length, std::int8_t* mask) {
  using sort = cub::BlockRadixSort<std::uint32_t, Threads, Each, std::uint32_t>;
  using heads = cub::BlockDiscontinuity<std::uint32_t, Threads>;
  __shared__ union {
    typename sort::TempStorage sort;
    typename heads::TempStorage heads;
  } shared;
  for (std::uint64_t row = blockIdx.x; row < row_count; row += gridDim.x) {
    std::uint32_t key[Each];
    std::uint32_t column[Each];
    int is_head[Each];
    for (int k = 0; k < Each; ++k) {
      column[k] = threadIdx.x * Each + k;
      key[k] = column[k] < row_length ? load_item(items, width, row * row_length + column[k]) : ~0U;
    }
    sort(shared.sort).Sort(key, column, 0, item_bits);
    __syncthreads();
    heads(shared.heads).FlagHeads(is_head, key, ::cuda::std::not_equal_to<>{});
    for (int k = 0; k < Each; ++k) {
      if (column[k] < row_length) mask[row * row_length + column[k]] = is_head[k] == 0 ? 1 : 0;
    }
    __syncthreads();
  }
}

template <int Threads, int Each>
void launch_short(const void* items, item_type width, int item_bits, std::uint64_t row_count,
                  std::uint64_t row_length, std::int8_t* mask, cudaStream_t stream) {
  mark_short_rows<Threads, Each><<<grid_for(row_count), Threads, 0, stream>>>(
      items, width, item_bits, row_count, static_cast<std::uint32_t>(row_length), mask);
  NEGPIPE_CUDA_CHECK_LAUNCH("mark_short_rows");
}

__global__ void number_columns(const void* items, item_type width, std::uint64_t count, std::uint64_t row_length,
                               std::uint32_t* keys, std::uint32_t* columns) {
  std::uint64_t i = blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x;
  for (; i < count; i += gridDim.x * static_cast<std::uint64_t>(blockDim.x)) {
    keys[i] = load_item(items, width, i);
    columns[i] = static_cast<std::uint32_t>(i % row_length);
  }
}

__global__ void mark_sorted(const std::uint32_t* keys, const std::uint32_t* columns, std::uint64_t count,
                            std::uint64_t row_length, std::int8_t* mask) {
  std::uint64_t i = blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x;
  for (; i < count; i += gridDim.x * static_cast<std::uint64_t>(blockDim.x)) {
    const std::uint64_t within = i % row_length;
    mask[i - within + columns[i]] = within != 0 && keys[i] == keys[i - 1] ? 1 : 0;
  }
}

struct row_begin {
  std::uint64_t row_length;
  __host__ __device__ std::uint64_t operator()(std::uint64_t row) const { return row * row_length; }
};

void mark_long_rows(const void* items, item_type width, std::uint64_t row_count, std::uint64_t row_length,
                    std::int8_t* mask, device_memory& memory, cudaStream_t stream) {
  const std::uint64_t count = row_count * row_length;
  device_buffer<std::uint32_t> keys(count, memory, stream);
  device_buffer<std::uint32_t> columns(count, memory, stream);
  device_buffer<std::uint32_t> sorted_keys(count, memory, stream);
  device_buffer<std::uint32_t> sorted_columns(count, memory, stream);
  const unsigned grid = grid_for(core::ceil_div(count, default_block_size));
  number_columns<<<grid, default_block_size, 0, stream>>>(items, width, count, row_length, keys.data(),
                                                          columns.data());
  NEGPIPE_CUDA_CHECK_LAUNCH("number_columns");

  const auto begins = thrust::make_transform_iterator(thrust::counting_iterator<std::uint64_t>(0),
                                                      row_begin{row_length});
  std::size_t scratch_bytes = 0;
  const auto sort = [&](void* scratch) {
    NEGPIPE_CUDA_CHECK(cub::DeviceSegmentedSort::StableSortPairs(
        scratch, scratch_bytes, keys.data(), sorted_keys.data(), columns.data(), sorted_columns.data(),
        static_cast<std::int64_t>(count), static_cast<std::int64_t>(row_count), begins, begins + 1, stream));
  };
  sort(nullptr);
  device_buffer<std::byte> scratch(std::max<std::size_t>(scratch_bytes, 1), memory, stream);
  sort(scratch.data());
  mark_sorted<<<grid, default_block_size, 0, stream>>>(sorted_keys.data(), sorted_columns.data(), count, row_length,
                                                       mask);
  NEGPIPE_CUDA_CHECK_LAUNCH("mark_sorted");
}

}  // namespace

void mark_duplicates_async(const void* items, item_type width, std::int32_t item_count, std::uint64_t row_count,
                           std::uint64_t row_length, std::int8_t* mask, device_memory& memory,
                           cudaStream_t stream) {
  const nvtx_range range("negpipe duplicate masks");
  if (row_count == 0) return;
  const int bits = std::max(1, static_cast<int>(core::bit_width(static_cast<std::uint32_t>(item_count) - 1)));
  if (row_length <= 1024) {
    launch_short<256, 4>(items, width, bits, row_count, row_length, mask, stream);
  } else if (row_length <= longest_block_row) {
    launch_short<512, 8>(items, width, bits, row_count, row_length, mask, stream);
  } else {
    mark_long_rows(items, width, row_count, row_length, mask, memory, stream);
  }
}

}  // namespace negpipe::cuda
