#include "fill_points.hpp"

#include <type_traits>

#include "bits.hpp"
#include "fill_job.hpp"
#include "neighbours.hpp"
#include "nvtx.hpp"
#include "open_draws.hpp"
#include "take_batches.hpp"

namespace negpipe::cuda {

namespace {

// The parameters of a launch, in the constant bank.
// - ItemDraw: core::bounded32, or core::weighted_draw with tables in device memory.
template <typename Position, typename Layout, typename Form, typename ItemDraw, typename Cursor>
struct fill_job {
  neighbour_plan<Position> plan;
  scheduled_source source;
  const packed_word* packed;
  positives_of<Form> positives;
  ItemDraw item_draw;
  point_writer<Cursor> writer;  // for the edges: padding, and the ends of a range
};

// Returns the first quad of the block's tile.
template <typename Position, typename Cursor>
__device__ Position first_quad(const Cursor& cursor) {
  return static_cast<Position>(cursor.range().begin) + static_cast<Position>(blockIdx.x) * blockDim.x;
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

// A block's points in shared memory, four per thread: the tile of open_draws. A draw whose first word is rejected has
// a positive of the user as item.
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
  static __device__ bool has_item(std::uint32_t) { return true; }
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
    reinterpret_cast<int4*>(columns.users)[quad] = make_int4(made.user[0], made.user[1], made.user[2], made.user[3]);
    reinterpret_cast<std::uint32_t*>(columns.labels)[quad] = made.labels;
    if (columns.valid != nullptr) reinterpret_cast<std::uint32_t*>(columns.valid)[quad] = 0x01010101U;
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
    static_cast<stored_type*>(columns.items)[quad] = __builtin_bit_cast(stored_type, items);
  } else if (stores == store_width::quads_of_int32) {
    static_cast<int4*>(columns.items)[quad] = make_int4(items.item[0], items.item[1], items.item[2], items.item[3]);
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

// One tile per block.
template <typename Position, typename Layout, typename Form, typename ItemDraw, typename Cursor>
__global__ void __launch_bounds__(max_block_size)
    fill_points(const __grid_constant__ fill_job<Position, Layout, Form, ItemDraw, Cursor> job) {
  using tile_type = shared_tile<Layout>;
  __shared__ tile_type tile;
  const core::cycle_key& key = job.writer.cursor.key();
  const fill_range& range = job.writer.cursor.range();
  const store_width stores = range.stores;
  const Position begin = first_quad<Position>(job.writer.cursor);
  const Position quad = begin + threadIdx.x;
  const bool whole = quad - static_cast<Position>(range.whole_begin) < static_cast<Position>(range.whole_count);
  if (threadIdx.x == 0) tile.open.count = tile.still_open.count = 0;
  __syncthreads();
  if (whole) {
    const auto made = points_at<Layout>(job.plan, job.item_draw, key, job.packed, job.positives.csr,
                                        job.positives.form, quad, job.source);
    store_users_and_labels(range.columns, stores, quad, made);
    tile.push(made);
  } else if (quad < static_cast<Position>(range.end)) {
    write_edge(job.writer, quad);
  }
  __syncthreads();
  const core::draw_stream stream{core::tag::train_draw, core::tag::train_fallback, key.cycle};
  open_draws<Position, Form, ItemDraw, tile_type>{job.positives, job.item_draw, job.source, stream, 4 * begin, tile}
      .settle_all();
  if (whole) store_items(range.columns, stores, quad, tile.items[threadIdx.x]);
}

// Makes the points of a range one by one: for plans that neighbour_plan does not cover, and unpacked positives.
template <typename Cursor>
__global__ void fill_singly(const __grid_constant__ point_writer<Cursor> writer) {
  const fill_range& range = writer.cursor.range();
  std::uint64_t i = blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x;
  for (; i < range.count; i += gridDim.x * static_cast<std::uint64_t>(blockDim.x)) writer.write(range.first + i);
}

// count: points of a batch; each batch is a row of the grid.
template <typename Cursor>
struct point_launch {
  const device_view& data;
  const point_writer<Cursor>& writer;
  std::uint64_t count;
  unsigned batches;
  const launcher& on;

  template <typename Position, typename Layout, typename Form, typename ItemDraw>
  void with_form(const Form& form, const ItemDraw& item_draw) const {
    const fill_job<Position, Layout, Form, ItemDraw, Cursor> job{neighbour_plan<Position>::make(writer.plan),
                                                                 scheduled_source(writer.plan.seed),
                                                                 data.packed,
                                                                 {form, data.csr, data.item_count},
                                                                 item_draw,
                                                                 writer};
    const std::uint64_t max_quads = count / 4 + 2;  // a range may cut quads at both ends
    const auto grid = static_cast<unsigned>(core::ceil_div(max_quads, on.block_size));
    on("launch of fill_points", fill_points<Position, Layout, Form, ItemDraw, Cursor>, dim3(grid, batches), job);
  }

  template <typename Position, typename Layout, typename ItemDraw>
  void with_draw(const ItemDraw& item_draw) const {
    visit_form(data, [&](const auto& form) { with_form<Position, Layout>(form, item_draw); });
  }

  template <typename Position, typename Layout>
  void with_layout() const {
    if (writer.plan.weights.is_set()) return with_draw<Position, Layout>(writer.plan.weights);
    with_draw<Position, Layout>(writer.plan.item_draw);
  }

  template <typename Position>
  void with_position() const {
    if (data.packed_as == packing::narrow) return with_layout<Position, narrow_layout>();
    with_layout<Position, wide_layout>();
  }

  void one_by_one() const {
    const dim3 grid(grid_for(core::ceil_div(count, on.block_size)), batches);
    on("launch of fill_singly", fill_singly<Cursor>, grid, writer);
  }
};

// Returns whether the kernel may count in 32 bits: the cycle's points by position, and all positions by quads (a large
// batch adds many in padding). Below 2^31 quads the last tile may reach past the end.
bool fits_32_bits(const core::training_plan& plan) {
  return neighbour_plan<std::uint32_t>::covers(plan) && plan.padded_count() < 1ULL << 33;
}

template <typename Cursor>
void launch_fill(const core::training_plan& plan, const device_view& data, std::uint64_t count, unsigned batches,
                 const Cursor& cursor, const launcher& on) {
  const nvtx_range range("negpipe fill points");
  const point_writer<Cursor> writer{plan, data.positives(), cursor};
  const point_launch<Cursor> launch{data, writer, count, batches, on};
  if (data.packed_as == packing::none || !neighbour_plan<std::uint64_t>::covers(plan)) {
    launch.one_by_one();
  } else if (fits_32_bits(plan)) {
    launch.template with_position<std::uint32_t>();
  } else {
    launch.template with_position<std::uint64_t>();
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
