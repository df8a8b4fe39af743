// Draws for rows of K elements, four neighbouring draws a thread: pairwise negatives and free draws.
//
// A thread makes the first candidates of four draws, which share a random block. Draws that need more than the first
// candidate are collected in shared memory, so that all lanes of a warp take part in them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "bits.hpp"
#include "cache_control.hpp"
#include "curand_source.hpp"
#include "device_dataset.hpp"
#include "launch.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/core/divide.hpp"
#include "negpipe/core/draw.hpp"
#include "negpipe/core/free_draw.hpp"

namespace negpipe::cuda {

/// Draws [first, end) of a stream. Draw first + i is value i of the output.
struct draw_range {
  core::draw_stream stream;
  std::uint64_t first;
  std::uint64_t end;
  bool is_aligned;  ///< four draws may be stored at once
};

/// Where values go: K per row, with items of one width.
struct draw_target {
  void* items;
  item_type item_width;
  std::uint32_t negatives;  ///< K, at least 1
};

/// Returns whether a column is aligned for stores of four items.
inline bool stores_quads(const void* items, item_type width) {
  return reinterpret_cast<std::uintptr_t>(items) % (4 * item_bytes(width)) == 0;
}

__device__ inline std::uint64_t thread_number() {
  return blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x;
}
__device__ inline std::uint64_t grid_threads() { return gridDim.x * static_cast<std::uint64_t>(blockDim.x); }

__device__ inline void store_item(void* column, item_type width, std::uint64_t offset, std::int32_t item) {
  if (width == item_type::uint16) {
    static_cast<std::uint16_t*>(column)[offset] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(column)[offset] = item;
  }
}

/// The parameters of a launch.
/// - ItemDraw: core::bounded32 or core::weighted_draw, with tables in device memory.
/// - Rows: has range(), a draw_range, and user(row): the row's user, or a negative number for a row of no_item.
template <typename Form, typename ItemDraw, typename Rows>
struct draw_job {
  scheduled_source source;
  positives_of<Form> positives;
  ItemDraw item_draw;
  core::divider64 by_negatives;  // not used if K is 1
  Rows rows;
  draw_target target;

  __device__ std::uint64_t row_of(std::uint64_t value) const {
    return target.negatives == 1 ? value : by_negatives(value);
  }
  __device__ void store(std::uint64_t value, std::int32_t item) const {
    store_item(target.items, target.item_width, value, item);
  }
  __device__ void store_quad(std::uint64_t value, const std::int32_t (&item)[4]) const {
    if (target.item_width == item_type::uint16) {
      const auto half = [&](int j) {
        return join_halves(static_cast<std::uint32_t>(item[j]), static_cast<std::uint32_t>(item[j + 1]));
      };
      store_streaming(static_cast<uint2*>(target.items) + value / 4, make_uint2(half(0), half(2)));
    } else {
      store_streaming(static_cast<int4*>(target.items) + value / 4, make_int4(item[0], item[1], item[2], item[3]));
    }
  }
};

/// The draws of a block whose first candidate may be a positive or has a rejected word.
struct open_slots {
  std::uint16_t value[4 * max_block_size];
  std::uint32_t count;
};

/// Makes the first candidates of draws 4 * quad .. 4 * quad + 3, with one random block and one division for the row.
template <typename Job>
__device__ void propose_quad(const Job& job, const draw_range& range, std::uint64_t quad, open_slots& open) {
  const std::uint64_t draw = 4 * quad;
  const auto block = job.source(core::make_counter(range.stream.candidates, range.stream.cycle, quad, 0));
  const std::uint64_t from = draw < range.first ? 0 : draw - range.first;
  std::uint64_t row = job.row_of(from);
  auto k = static_cast<std::uint32_t>(from - row * job.target.negatives);
  std::int32_t item[4];
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    item[j] = core::no_item;
    if (draw + j < range.first || draw + j >= range.end) continue;
    const std::int32_t user = job.rows.user(row);
    if (user >= 0) {
      std::uint32_t candidate = 0;
      const bool is_accepted = job.item_draw(block.word[j], candidate);
      item[j] = is_accepted ? static_cast<std::int32_t>(candidate) : 0;
      const std::uint32_t doubt = job.positives.form.ask(user_id{user}, item[j], 0);
      if (!is_accepted || (doubt & 1U) != 0) {
        open.value[atomicAdd(&open.count, 1U)] = static_cast<std::uint16_t>(4 * threadIdx.x + j);
      }
    }
    if (!range.is_aligned) job.store(draw + j - range.first, item[j]);
    if (++k == job.target.negatives) {
      k = 0;
      ++row;
    }
  }
  if (range.is_aligned) job.store_quad(draw - range.first, item);
}

/// Out of line: a loop over attempts that few draws need.
template <typename Job>
__device__ __noinline__ std::int32_t draw_again(const Job& job, core::draw_stream stream, user_id user,
                                                std::uint64_t draw) {
  return core::draw_negative(job.positives, user, job.item_draw, stream, draw, job.source);
}

/// A block makes four draws a thread, then shares the draws that need more than the first candidate.
template <typename Form, typename ItemDraw, typename Rows>
__global__ void __launch_bounds__(max_block_size)
    fill_negatives(const __grid_constant__ draw_job<Form, ItemDraw, Rows> job) {
  __shared__ open_slots open;
  const draw_range range = job.rows.range();
  const std::uint64_t first_quad = range.first / 4 + blockIdx.x * static_cast<std::uint64_t>(blockDim.x);
  if (threadIdx.x == 0) open.count = 0;
  __syncthreads();
  if (4 * (first_quad + threadIdx.x) < range.end) propose_quad(job, range, first_quad + threadIdx.x, open);
  __syncthreads();
  for (std::uint32_t i = threadIdx.x; i < open.count; i += blockDim.x) {
    const std::uint64_t draw = 4 * first_quad + open.value[i];
    const user_id user{job.rows.user(job.row_of(draw - range.first))};
    job.store(draw - range.first, draw_again(job, range.stream, user, draw));
  }
}

template <typename Form, typename ItemDraw, typename Rows>
void launch_draws_of(Form form, const device_view& data, std::uint64_t seed, const ItemDraw& item_draw,
                     const Rows& rows, const draw_target& target, std::uint64_t count, const launcher& on) {
  const draw_job<Form, ItemDraw, Rows> job{scheduled_source(seed),
                                           {form, data.csr, data.item_count},
                                           item_draw,
                                           core::divider64::make(std::max(2U, target.negatives)),
                                           rows,
                                           target};
  const std::uint64_t max_quads = count / 4 + 2;  // a range may cut quads at both ends
  const auto grid = static_cast<unsigned>(core::ceil_div(max_quads, on.block_size));
  on("launch of fill_negatives", fill_negatives<Form, ItemDraw, Rows>, dim3(grid), job);
}

/// Queues count draws, the length of rows.range(). Does not allocate or wait. Throws backend_error.
template <typename ItemDraw, typename Rows>
void launch_draws(const device_view& data, std::uint64_t seed, const ItemDraw& item_draw, const Rows& rows,
                  const draw_target& target, std::uint64_t count, const launcher& on) {
  switch (data.form) {
    case membership_form::bitset:
      return launch_draws_of(bitset_form{data.bitset}, data, seed, item_draw, rows, target, count, on);
    case membership_form::bloom_filter:
      return launch_draws_of(filter_form{data.filter, data.positives()}, data, seed, item_draw, rows, target, count,
                             on);
    default:
      return launch_draws_of(search_form{data.csr}, data, seed, item_draw, rows, target, count, on);
  }
}

}  // namespace negpipe::cuda
