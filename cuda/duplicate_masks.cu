#include "duplicate_masks.hpp"

#include <cub/block/block_discontinuity.cuh>
#include <cub/block/block_load.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cuda/std/functional>

#include <algorithm>

#include "negpipe/core/arith.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

__device__ std::uint32_t load_item(const void* items, item_type width, std::uint64_t i) {
  return width == item_type::uint16 ? static_cast<const std::uint16_t*>(items)[i]
                                    : static_cast<std::uint32_t>(static_cast<const std::int32_t*>(items)[i]);
}

// One block per row. Slots past the row's end hold the greatest key; the sort is stable, so they stay at the end.
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
void launch_short(const void* items, item_type width, int item_bits, std::uint64_t row_count, std::uint64_t row_length,
                  std::int8_t* mask, launcher on) {
  on.block_size = Threads;
  on("launch of mark_short_rows", mark_short_rows<Threads, Each>, grid_for(row_count), items, width, item_bits,
     row_count, static_cast<std::uint32_t>(row_length), mask);
}

// One block per row, with a table of item_count values: the first column of each item of the row. Only entries of the
// row's items are written and read, so the table needs no initialisation.
__global__ void mark_long_rows(const void* items, item_type width, std::uint64_t item_count, std::uint64_t row_count,
                               std::uint64_t row_length, std::uint32_t* tables, std::int8_t* mask) {
  std::uint32_t* first_column = tables + blockIdx.x * item_count;
  for (std::uint64_t row = blockIdx.x; row < row_count; row += gridDim.x) {
    const std::uint64_t begin = row * row_length;
    for (std::uint64_t column = threadIdx.x; column < row_length; column += blockDim.x) {
      first_column[load_item(items, width, begin + column)] = ~0U;
    }
    __syncthreads();
    for (std::uint64_t column = threadIdx.x; column < row_length; column += blockDim.x) {
      atomicMin(first_column + load_item(items, width, begin + column), static_cast<std::uint32_t>(column));
    }
    __syncthreads();
    for (std::uint64_t column = threadIdx.x; column < row_length; column += blockDim.x) {
      const bool is_first = __ldcg(first_column + load_item(items, width, begin + column)) == column;
      mask[begin + column] = is_first ? 0 : 1;
    }
    __syncthreads();
  }
}

// Returns the number of blocks, and of tables, for long rows.
unsigned table_count(std::int32_t item_count, std::uint64_t row_count) {
  constexpr std::uint64_t max_bytes = 64U << 20;
  const std::uint64_t fitting = max_bytes / sizeof(std::uint32_t) / static_cast<std::uint64_t>(item_count);
  return static_cast<unsigned>(std::min<std::uint64_t>(grid_for(row_count), std::max<std::uint64_t>(fitting, 1)));
}

}  // namespace

std::uint64_t duplicate_workspace_bytes(std::int32_t item_count, std::uint64_t row_count, std::uint64_t row_length) {
  if (row_length <= longest_block_row) return 0;
  return table_count(item_count, row_count) * sizeof(std::uint32_t) * static_cast<std::uint64_t>(item_count);
}

void mark_duplicates_async(const void* items, item_type width, std::int32_t item_count, std::uint64_t row_count,
                           std::uint64_t row_length, std::int8_t* mask, void* workspace, const launcher& on) {
  const nvtx_range range("negpipe duplicate masks");
  if (row_count == 0) return;
  const int bits = std::max(1, static_cast<int>(core::bit_width(static_cast<std::uint32_t>(item_count) - 1)));
  if (row_length <= 1024) {
    launch_short<256, 4>(items, width, bits, row_count, row_length, mask, on);
  } else if (row_length <= longest_block_row) {
    launch_short<512, 8>(items, width, bits, row_count, row_length, mask, on);
  } else {
    launcher wide = on;
    wide.block_size = 512;
    wide("launch of mark_long_rows", mark_long_rows, table_count(item_count, row_count), items, width,
         static_cast<std::uint64_t>(item_count), row_count, row_length, static_cast<std::uint32_t*>(workspace), mask);
  }
}

}  // namespace negpipe::cuda
