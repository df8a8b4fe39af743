#include "fill_points.hpp"

#include <type_traits>

#include "bits.hpp"
#include "cache_control.hpp"
#include "fill_job.hpp"
#include "neighbours.hpp"
#include "nvtx.hpp"
#include "take_batches.hpp"

namespace negpipe::cuda {

namespace {

// The parameters of a launch, in the constant bank.
template <typename Position, typename Layout, typename Form, typename Cursor>
struct fill_job {
  neighbour_plan<Position> plan;
  scheduled_source source;
  const packed_word* packed;
  positives_of<Form> positives;
  point_writer<Cursor> writer;  // for the edges: padding, and the ends of a range
};

// Returns the first quad of the block's tile.
template <typename Position, typename Layout, typename Form, typename Cursor>
__device__ Position first_quad(const fill_job<Position, Layout, Form, Cursor>& job) {
  return static_cast<Position>(job.writer.cursor.range().begin) + static_cast<Position>(blockIdx.x) * blockDim.x;
}

// Four consecutive items of a column.
template <typename Layout>
struct item_quad;
template <>
struct alignas(8) item_quad<narrow_layout> {
  using stored_type = uint2;
  static constexpr store_width stored_as = store_width::quads_of_uint16;
  std::uint16_t item[4];
};
template <>
struct alignas(16) item_quad<wide_layout> {
  using stored_type = int4;
  static constexpr store_width stored_as = store_width::quads_of_int32;
  std::int32_t item[4];
};

__device__ item_quad<narrow_layout> as_quad(const neighbours& made, narrow_layout) {
  const auto pair = [&](int j) {
    return join_halves(static_cast<std::uint32_t>(made.item[j]), static_cast<std::uint32_t>(made.item[j + 1]));
  };
  return __builtin_bit_cast(item_quad<narrow_layout>, make_uint2(pair(0), pair(2)));
}
__device__ item_quad<wide_layout> as_quad(const neighbours& made, wide_layout) {
  return {{made.item[0], made.item[1], made.item[2], made.item[3]}};
}

// A list in shared memory that the threads of the block append to.
struct shared_list {
  std::uint16_t value[4 * max_block_size];
  std::uint32_t count;

  __device__ void append(std::uint32_t added) { value[atomicAdd(&count, 1U)] = static_cast<std::uint16_t>(added); }
  // Appends base plus the index of each set bit of a mask, in no particular order.
  __device__ void append_bits(std::uint32_t mask, std::uint32_t base) {
    if (mask == 0) return;
    std::uint16_t* next = value + atomicAdd(&count, count_ones(mask));
    do {
      const std::uint32_t bit = highest_bit(mask);
      *next++ = static_cast<std::uint16_t>(base + bit);
      mask = lowest_bits(mask, bit);
    } while (mask != 0);
  }
};

// A block's tile in shared memory: users and items of four points per thread, and the slots whose draw is still open
// after the first and after the second candidate.
template <typename Layout>
struct shared_tile {
  int4 users[max_block_size];
  item_quad<Layout> items[max_block_size];
  shared_list open;
  shared_list still_open;

  __device__ void push(const neighbours& made) {
    users[threadIdx.x] = make_int4(made.user[0], made.user[1], made.user[2], made.user[3]);
    items[threadIdx.x] = as_quad(made, Layout{});
    open.append_bits(made.unsettled, 4 * threadIdx.x);
  }
  __device__ user_id user(std::uint32_t slot) const {
    return user_id{reinterpret_cast<const std::int32_t*>(users)[slot]};
  }
  __device__ auto& item(std::uint32_t slot) { return items[slot / 4].item[slot % 4]; }
  __device__ void set_item(std::uint32_t slot, std::int32_t value) {
    item(slot) = static_cast<std::remove_reference_t<decltype(item(slot))>>(value);
  }
};

// Stores all columns of a whole quad except the items.
template <typename Position>
__device__ void store_users_and_labels(const core::training_pointers& columns, store_width stores, Position quad,
                                       const neighbours& made) {
  if (stores != store_width::single) {
    store_streaming(reinterpret_cast<int4*>(columns.users) + quad,
                    make_int4(made.user[0], made.user[1], made.user[2], made.user[3]));
    store_streaming(reinterpret_cast<std::uint32_t*>(columns.labels) + quad, made.labels);
    if (columns.valid != nullptr) store_streaming(reinterpret_cast<std::uint32_t*>(columns.valid) + quad, 0x01010101U);
    return;
  }
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    columns.users[4 * quad + j] = made.user[j];
    columns.labels[4 * quad + j] = static_cast<std::int8_t>(made.labels >> 8 * j);
    if (columns.valid != nullptr) columns.valid[4 * quad + j] = 1;
  }
}

template <typename Position, typename Layout>
__device__ void store_items(const core::training_pointers& columns, store_width stores, Position quad,
                            const item_quad<Layout>& items) {
  if (stores == items.stored_as) {
    using stored_type = typename item_quad<Layout>::stored_type;
    store_streaming(static_cast<stored_type*>(columns.items) + quad, __builtin_bit_cast(stored_type, items));
  } else if (stores == store_width::quads_of_int32) {
    store_streaming(static_cast<int4*>(columns.items) + quad,
                    make_int4(items.item[0], items.item[1], items.item[2], items.item[3]));
  } else {
    NEGPIPE_UNROLL
    for (std::uint32_t j = 0; j < 4; ++j) store_item(columns, 4 * quad + j, items.item[j]);
  }
}

// Out of line: heavy, and needed by a few threads of a launch only.
template <typename Writer>
__device__ __noinline__ void write_edge(const Writer& writer, std::uint64_t quad) {
  const fill_range& range = writer.cursor.range();
  for (std::uint64_t p = 4 * quad; p < 4 * quad + 4; ++p) {
    if (p >= range.first && p < range.first + range.count) writer.write(p);
  }
}

// The draws of a tile that the first candidate did not settle.
template <typename Position, typename Layout, typename Form, typename Cursor>
struct open_draws {
  // Lanes that make attempts of one draw concurrently.
  static constexpr std::uint32_t team = 4;

  const fill_job<Position, Layout, Form, Cursor>& job;
  shared_tile<Layout>& shared;

  // Checks a doubtful first candidate exactly, and tries the second if it is a positive. All lanes of a warp take part,
  // where only a few of each warp would if every thread settled its own draws.
  __device__ void settle(std::uint32_t slot) const {
    if (!job.positives.form.confirms(shared.user(slot), shared.item(slot))) return;
    std::int32_t item = 0;
    if (try_again(slot, 1, item)) {
      shared.set_item(slot, item);
    } else {
      shared.still_open.append(slot);
    }
  }

  // The remaining draws belong to users with many positives and take several attempts. A team makes several at once, so
  // that the block waits for memory less often. Must be called by whole teams.
  __device__ void settle_in_team(std::uint32_t slot) const {
    const std::uint32_t lane = threadIdx.x % team;
    const std::uint32_t members = ((1U << team) - 1) << (threadIdx.x % 32 - lane);
    for (std::uint32_t attempt = 2; attempt < core::max_draw_attempts; attempt += team) {
      std::int32_t item = 0;
      const bool is_drawn = attempt + lane < core::max_draw_attempts && try_again(slot, attempt + lane, item);
      const std::uint32_t drawn = __ballot_sync(members, is_drawn);
      if (drawn == 0) continue;
      const bool is_earliest = (drawn & ((1U << threadIdx.x % 32) - 1)) == 0;
      if (is_drawn && is_earliest) shared.set_item(slot, item);
      return;
    }
    if (lane == 0) {
      shared.set_item(slot, core::draw_by_rank(job.positives.csr.row(shared.user(slot)), job.positives.item_count,
                                                stream(), position(slot), job.source));
    }
  }

 private:
  __device__ core::draw_stream stream() const {
    return {core::tag::train_draw, core::tag::train_fallback, job.writer.cursor.key().cycle};
  }
  __device__ std::uint64_t position(std::uint32_t slot) const { return 4 * first_quad(job) + slot; }
  __device__ bool try_again(std::uint32_t slot, std::uint32_t attempt, std::int32_t& item) const {
    return core::try_candidate(job.positives, shared.user(slot), job.plan.item_draw, stream(), position(slot),
                               attempt, job.source, item);
  }
};

// One tile per block.
template <typename Position, typename Layout, typename Form, typename Cursor>
__global__ void __launch_bounds__(max_block_size)
    fill_points(const __grid_constant__ fill_job<Position, Layout, Form, Cursor> job) {
  __shared__ shared_tile<Layout> shared;
  const fill_range& range = job.writer.cursor.range();
  const store_width stores = range.stores;
  const Position quad = first_quad(job) + threadIdx.x;
  const bool whole = quad - static_cast<Position>(range.whole_begin) < static_cast<Position>(range.whole_count);
  if (threadIdx.x == 0) shared.open.count = shared.still_open.count = 0;
  __syncthreads();
  if (whole) {
    const auto made = points_at<Layout>(job.plan, job.writer.cursor.key(), job.packed, job.positives.csr,
                                              job.positives.form, quad, job.source);
    store_users_and_labels(range.columns, stores, quad, made);
    shared.push(made);
  } else if (quad < static_cast<Position>(range.end)) {
    write_edge(job.writer, quad);
  }
  __syncthreads();
  const open_draws<Position, Layout, Form, Cursor> draws{job, shared};
  for (std::uint32_t k = threadIdx.x; k < shared.open.count; k += blockDim.x) draws.settle(shared.open.value[k]);
  __syncthreads();
  for (std::uint32_t k = threadIdx.x; k < draws.team * shared.still_open.count; k += blockDim.x) {
    draws.settle_in_team(shared.still_open.value[k / draws.team]);
  }
  __syncthreads();
  if (whole) store_items(range.columns, stores, quad, shared.items[threadIdx.x]);
}

// Makes the points of a range one by one: for weighted negatives, plans that neighbour_plan does not cover, and
// unpacked positives.
template <typename Cursor>
__global__ void fill_singly(const __grid_constant__ point_writer<Cursor> writer) {
  const fill_range& range = writer.cursor.range();
  std::uint64_t i = blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x;
  for (; i < range.count; i += gridDim.x * static_cast<std::uint64_t>(blockDim.x)) writer.write(range.first + i);
}

template <typename Position, typename Layout, typename Form, typename Cursor>
void launch_form(const device_view& data, Form form, const point_writer<Cursor>& writer, std::uint64_t count,
                 unsigned batches, const launcher& on) {
  const fill_job<Position, Layout, Form, Cursor> job{neighbour_plan<Position>::make(writer.plan),
                                                     scheduled_source(writer.plan.seed),
                                                     data.packed,
                                                     {form, data.csr, data.item_count},
                                                     writer};
  const std::uint64_t max_quads = count / 4 + 2;  // a range may cut quads at both ends
  const auto grid = static_cast<unsigned>(core::ceil_div(max_quads, on.block_size));
  on("launch of fill_points", fill_points<Position, Layout, Form, Cursor>, dim3(grid, batches), job);
}

template <typename Position, typename Layout, typename Cursor>
void launch_layout(const device_view& data, const point_writer<Cursor>& writer, std::uint64_t count, unsigned batches,
                   const launcher& on) {
  switch (data.form) {
    case membership_form::bitset:
      return launch_form<Position, Layout>(data, bitset_form{data.bitset}, writer, count, batches, on);
    case membership_form::bloom_filter:
      return launch_form<Position, Layout>(data, filter_form{data.filter, data.positives()}, writer, count, batches,
                                           on);
    default:
      return launch_form<Position, Layout>(data, search_form{data.csr}, writer, count, batches, on);
  }
}

template <typename Position, typename Cursor>
void launch_position(const device_view& data, const point_writer<Cursor>& writer, std::uint64_t count,
                     unsigned batches, const launcher& on) {
  if (data.packed_as == packing::narrow) {
    launch_layout<Position, narrow_layout>(data, writer, count, batches, on);
  } else {
    launch_layout<Position, wide_layout>(data, writer, count, batches, on);
  }
}

// Returns whether the kernel may count in 32 bits: the cycle's points by position, and all positions by quads (a large
// batch adds many in padding). Below 2^31 quads the last tile may reach past the end.
bool fits_32_bits(const core::training_plan& plan) {
  return neighbour_plan<std::uint32_t>::covers(plan) && plan.padded_count() < 1ULL << 33;
}

// count: points of a batch; each batch is a row of the grid.
template <typename Cursor>
void launch_fill(const core::training_plan& plan, const device_view& data, std::uint64_t count, unsigned batches,
                 const Cursor& cursor, const launcher& on) {
  const nvtx_range range("negpipe fill points");
  const point_writer<Cursor> writer{plan, data.positives(), cursor};
  // The kernel of four neighbours draws uniformly.
  const bool is_general = plan.weights.is_set() || data.packed_as == packing::none;
  if (is_general || !neighbour_plan<std::uint64_t>::covers(plan)) {
    const dim3 grid(grid_for(core::ceil_div(count, on.block_size)), batches);
    on("launch of fill_singly", fill_singly<Cursor>, grid, writer);
  } else if (fits_32_bits(plan)) {
    launch_position<std::uint32_t>(data, writer, count, batches, on);
  } else {
    launch_position<std::uint64_t>(data, writer, count, batches, on);
  }
}

std::uint32_t phase_of(const void* column, std::uint64_t value_bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(column);
  if (address % value_bytes != 0) return target_columns::no_phase;
  return static_cast<std::uint32_t>(address / value_bytes % 4);
}

}  // namespace

target_columns target_columns::make(const core::training_pointers& to) {
  const std::uint32_t phase = phase_of(to.users, 4);
  const bool same = phase == phase_of(to.items, item_bytes(to.item_width)) && phase == phase_of(to.labels, 1) &&
                    (to.valid == nullptr || phase == phase_of(to.valid, 1));
  return {to, same ? phase : no_phase};
}

cursor_state initial_state(const core::training_plan& plan) {
  cursor_state state{};
  core::permutation& order = state.key.order;
  order.size = plan.point_count;
  if (order.size > core::permutation::small_size) {
    const core::digits radices = core::permutation::radices_for(order.size);
    order.left_radix = radices.left;
    order.right_radix = radices.right;
    order.rounds = core::permutation::rounds_for(order.size);
  }
  return state;
}

void fill_training_async(const core::training_plan& plan, const core::cycle_key& key, const device_view& data,
                         std::uint64_t first, std::uint64_t count, const core::training_pointers& columns,
                         const launcher& on) {
  if (count == 0) return;
  const fill_range range = fill_range::make(plan, first, count, target_columns::make(columns));
  launch_fill(plan, data, count, 1, fixed_cursor{{key, range}}, on);
}

void fill_next_async(const core::training_plan& plan, batch_cursor* cursor, cursor_state* states, unsigned batch_count,
                     const device_view& data, const core::training_pointers& columns, const launcher& on) {
  launch_take_batches(plan, cursor, states, batch_count, columns, on);
  launch_fill(plan, data, plan.batch_size, batch_count, replayed_cursor{states}, on);
}

}  // namespace negpipe::cuda
