// Draws for rows of K elements, four neighbouring draws a thread: pairwise negatives and free draws.
//
// A thread makes the first candidates of four draws, which share a random block; open_draws.hpp makes the others.
#pragma once

#include <algorithm>
#include <cstdint>

#include "bits.hpp"
#include "curand_source.hpp"
#include "device_dataset.hpp"
#include "first_candidates.hpp"
#include "launch.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/core/divide.hpp"
#include "negpipe/core/draw.hpp"
#include "negpipe/core/free_draw.hpp"
#include "open_draws.hpp"

namespace negpipe::cuda {

/// Draws [first, end) of a stream. Draw first + i is value i of the output.
struct draw_range {
  core::draw_stream stream;
  std::uint64_t first;
  std::uint64_t end;
  bool is_aligned;  ///< four values may be stored at once
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
/// - Rows: has range(), a draw_range, and user(row): the row's user, or a negative number for a row of no_item, which
///   may only be if may_be_empty.
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

  /// Sets the users of values value .. value + 3. value must be a multiple of 4 if K is.
  __device__ void users_of(std::uint64_t value, std::int32_t (&user)[4]) const {
    std::uint64_t row = row_of(value);
    user[0] = rows.user(row);
    if (target.negatives % 4 == 0) {
      user[1] = user[2] = user[3] = user[0];
      return;
    }
    auto k = static_cast<std::uint32_t>(value - row * target.negatives);
    NEGPIPE_UNROLL
    for (int j = 1; j < 4; ++j) {
      const bool is_next = ++k == target.negatives;
      if (is_next) k = 0;
      user[j] = is_next ? rows.user(++row) : user[j - 1];
    }
  }

  /// Stores values value .. value + 3.
  __device__ void store(std::uint64_t value, int4 item, bool is_aligned) const {
    if (!is_aligned) {
      const std::int32_t items[4] = {item.x, item.y, item.z, item.w};
      NEGPIPE_UNROLL
      for (int j = 0; j < 4; ++j) store_item(target.items, target.item_width, value + j, items[j]);
    } else if (target.item_width == item_type::uint16) {
      const auto half = [](int a, int b) {
        return join_halves(static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b));
      };
      static_cast<uint2*>(target.items)[value / 4] = make_uint2(half(item.x, item.y), half(item.z, item.w));
    } else {
      static_cast<int4*>(target.items)[value / 4] = item;
    }
  }
};

/// A block's draws in shared memory, four per thread: the tile of open_draws. A draw whose first word is rejected has
/// no_item.
struct draw_tile {
  int4 users[max_block_size];
  int4 items[max_block_size];
  shared_list open;
  shared_list still_open;

  __device__ user_id user(std::uint32_t slot) const {
    return user_id{reinterpret_cast<const std::int32_t*>(users)[slot]};
  }
  __device__ std::int32_t item(std::uint32_t slot) const { return reinterpret_cast<const std::int32_t*>(items)[slot]; }
  __device__ bool has_item(std::uint32_t slot) const { return item(slot) != core::no_item; }
  __device__ void set_item(std::uint32_t slot, std::int32_t value) {
    reinterpret_cast<std::int32_t*>(items)[slot] = value;
  }
};

/// Makes the first candidates of draws 4 * quad .. 4 * quad + 3, with one random block and one division for the row.
template <typename Job>
__device__ void propose_quad(const Job& job, const draw_range& range, std::uint64_t quad, draw_tile& tile) {
  const auto block = job.source(core::make_counter(range.stream.candidates, range.stream.cycle, quad, 0));
  std::int32_t user[4];
  job.users_of(4 * quad - range.first, user);
  std::uint32_t empty[4];
  NEGPIPE_UNROLL
  for (int j = 0; j < 4; ++j) empty[j] = job.rows.may_be_empty && user[j] < 0 ? 1 : 0;
  first_candidates<decltype(job.item_draw)> first(job.item_draw, block, empty);
  std::uint32_t unsettled = 0;
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    const std::uint32_t doubt = job.positives.form.ask(user_id{user[j]}, first.item[j], empty[j]);
    unsettled = with_bit(unsettled, j, doubt);
    if (empty[j] != 0) first.item[j] = core::no_item;
  }
  if (first.has_rejected()) {
    NEGPIPE_UNROLL
    for (int j = 0; j < 4; ++j) {
      if (empty[j] != 0 || !first.is_rejected(j)) continue;
      first.item[j] = core::no_item;
      unsettled |= 1U << j;
    }
  }
  tile.users[threadIdx.x] = make_int4(user[0], user[1], user[2], user[3]);
  tile.items[threadIdx.x] = make_int4(first.item[0], first.item[1], first.item[2], first.item[3]);
  tile.open.append_bits(unsettled, 4 * threadIdx.x);
}

/// Makes the draws of a quad that lie in the range, with core's own function. Out of line: few quads need it.
template <typename Job>
__device__ __noinline__ void draw_edge(const Job& job, std::uint64_t quad) {
  const draw_range range = job.rows.range();
  for (std::uint64_t draw = 4 * quad; draw < 4 * quad + 4; ++draw) {
    if (draw < range.first || draw >= range.end) continue;
    const std::uint64_t value = draw - range.first;
    const std::int32_t user = job.rows.user(job.row_of(value));
    const std::int32_t item = user < 0 ? core::no_item
                                       : core::draw_negative(job.positives, user_id{user}, job.item_draw, range.stream,
                                                             draw, job.source);
    store_item(job.target.items, job.target.item_width, value, item);
  }
}

/// A block makes four draws a thread, then shares the draws that need more than the first candidate.
template <typename Form, typename ItemDraw, typename Rows>
__global__ void __launch_bounds__(max_block_size)
    fill_negatives(const __grid_constant__ draw_job<Form, ItemDraw, Rows> job) {
  __shared__ draw_tile tile;
  const draw_range range = job.rows.range();
  const std::uint64_t first_quad = range.first / 4 + blockIdx.x * static_cast<std::uint64_t>(blockDim.x);
  const std::uint64_t quad = first_quad + threadIdx.x;
  const bool whole = 4 * quad >= range.first && 4 * quad + 4 <= range.end;
  if (threadIdx.x == 0) tile.open.count = tile.still_open.count = 0;
  __syncthreads();
  if (whole) {
    propose_quad(job, range, quad, tile);
  } else if (4 * quad < range.end) {
    draw_edge(job, quad);
  }
  __syncthreads();
  open_draws<std::uint64_t, Form, ItemDraw, draw_tile>{job.positives, job.item_draw,   job.source,
                                                       range.stream,  4 * first_quad, tile}
      .settle_all();
  if (whole) job.store(4 * quad - range.first, tile.items[threadIdx.x], range.is_aligned);
}

/// Queues count draws, the length of rows.range(). Does not allocate or wait. Throws backend_error.
template <typename ItemDraw, typename Rows>
void launch_draws(const device_view& data, std::uint64_t seed, const ItemDraw& item_draw, const Rows& rows,
                  const draw_target& target, std::uint64_t count, const launcher& on) {
  visit_form(data, [&]<typename Form>(const Form& form) {
    const draw_job<Form, ItemDraw, Rows> job{scheduled_source(seed),
                                             {form, data.csr, data.item_count},
                                             item_draw,
                                             core::divider64::make(std::max(2U, target.negatives)),
                                             rows,
                                             target};
    const std::uint64_t max_quads = count / 4 + 2;  // a range may cut quads at both ends
    const auto grid = static_cast<unsigned>(core::ceil_div(max_quads, on.block_size));
    on("launch of fill_negatives", fill_negatives<Form, ItemDraw, Rows>, dim3(grid), job);
  });
}

}  // namespace negpipe::cuda
