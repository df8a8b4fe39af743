#include "fill_points.hpp"

#include "fill_job.hpp"
#include "negpipe/core/neighbours.hpp"
#include "negpipe/error.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

// One launch: everything a thread needs, in the constant bank.
template <typename Position, typename Form, typename Cursor>
struct fill_job {
  core::neighbour_plan<Position> plan;
  core::packed_view packed;
  positives_of<Form> positives;
  point_writer<Cursor> writer;  // for positions at the edges: padding, and the ends of a range
};

// A block's tile in shared memory: four points a thread, and the places of those that their first candidate did not
// settle. Sizes are of dynamic shared memory, for blocks of any size.
struct shared_tile {
  static constexpr std::uint16_t rejected = 1U << 15;  // of a place: its candidate means nothing
  static constexpr unsigned bytes_a_thread = 2 * sizeof(int4) + 4 * sizeof(std::uint16_t);

  int4* users;
  int4* items;
  std::uint16_t* open;
  std::uint32_t* open_count;

  __device__ static shared_tile at(int4* memory, std::uint32_t* open_count) {
    return {memory, memory + blockDim.x, reinterpret_cast<std::uint16_t*>(memory + 2 * blockDim.x), open_count};
  }

  __device__ void push(const core::neighbours& made) const {
    users[threadIdx.x] = make_int4(made.user[0], made.user[1], made.user[2], made.user[3]);
    items[threadIdx.x] = make_int4(made.item[0], made.item[1], made.item[2], made.item[3]);
    if (made.unsettled == 0) return;
    std::uint32_t place = atomicAdd(open_count, core::count_ones(made.unsettled));
    for (std::uint32_t left = made.unsettled; left != 0; left &= left - 1) {
      const auto j = static_cast<std::uint32_t>(__ffs(static_cast<int>(left)) - 1);
      const std::uint32_t mark = (made.rejected >> j & 1U) * rejected;
      open[place++] = static_cast<std::uint16_t>((4 * threadIdx.x + j) | mark);
    }
  }
};

// Bit j of a mask as byte j.
__device__ std::uint32_t bytes_of(std::uint32_t mask) { return mask * 0x00204081U & 0x01010101U; }

__device__ std::uint32_t pair_of(std::int32_t low, std::int32_t high) {
  return static_cast<std::uint32_t>(low) | static_cast<std::uint32_t>(high) << 16;
}

__device__ void store_four(const training_columns& columns, std::uint64_t place, const core::neighbours& made) {
  std::int32_t* users = columns.users + place;
  std::int8_t* labels = columns.labels + place;
  *reinterpret_cast<int4*>(users) = make_int4(made.user[0], made.user[1], made.user[2], made.user[3]);
  *reinterpret_cast<std::uint32_t*>(labels) = bytes_of(made.positive);
  if (columns.item_width == item_type::uint16) {
    *reinterpret_cast<uint2*>(static_cast<std::uint16_t*>(columns.items) + place) =
        make_uint2(pair_of(made.item[0], made.item[1]), pair_of(made.item[2], made.item[3]));
  } else {
    *reinterpret_cast<int4*>(static_cast<std::int32_t*>(columns.items) + place) =
        make_int4(made.item[0], made.item[1], made.item[2], made.item[3]);
  }
  if (columns.valid != nullptr) *reinterpret_cast<std::uint32_t*>(columns.valid + place) = 0x01010101U;
}

__device__ void store_each(const training_columns& columns, std::uint64_t place, const core::neighbours& made) {
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    columns.users[place + j] = made.user[j];
    columns.labels[place + j] = static_cast<std::int8_t>(made.positive >> j & 1U);
    store_item(columns, place + j, made.item[j]);
    if (columns.valid != nullptr) columns.valid[place + j] = 1;
  }
}

// Out of line: needed by a few threads of a launch, and heavy.
template <typename Writer>
__device__ __noinline__ void write_edge(const Writer& writer, std::uint64_t quad) {
  const fill_range& range = writer.cursor.range();
  for (std::uint64_t p = 4 * quad; p < 4 * quad + 4; ++p) {
    if (p >= range.first && p < range.first + range.count) writer(p - range.first);
  }
}

// The points of one block of four.
template <typename Position, typename Form, typename Cursor>
__device__ void fill_four(const fill_job<Position, Form, Cursor>& job, std::uint64_t quad,
                          const shared_tile& shared) {
  const fill_range& range = job.writer.cursor.range();
  if (quad - range.whole_begin >= range.whole_count) {
    write_edge(job.writer, quad);
    return;
  }
  const auto made = core::points_at(job.plan, job.writer.cursor.key(), job.packed, job.positives.csr,
                                    job.positives.form, static_cast<Position>(4 * quad),
                                    curand_source{job.writer.plan.seed});
  if (range.aligned) {
    store_four(job.writer.columns, 4 * quad - range.first, made);
  } else {
    store_each(job.writer.columns, 4 * quad - range.first, made);
  }
  shared.push(made);
}

// Asks exactly about a first candidate that was doubtful, and draws on if it is a positive: the lanes of a few full
// warps work where a handful of each warp would.
template <typename Position, typename Form, typename Cursor>
__device__ void settle(const fill_job<Position, Form, Cursor>& job, std::uint64_t tile, const shared_tile& shared,
                       std::uint32_t open) {
  const std::uint32_t offset = open & ~std::uint32_t{shared_tile::rejected};
  const user_id user{reinterpret_cast<const std::int32_t*>(shared.users)[offset]};
  const bool rejected = (open & shared_tile::rejected) != 0;
  if (!rejected && !job.positives.form.confirms(user, reinterpret_cast<const std::int32_t*>(shared.items)[offset])) {
    return;
  }
  const std::uint64_t position = 4 * tile + offset;
  const core::draw_stream stream{core::tag::train_draw, core::tag::train_fallback,
                                 job.writer.cursor.key().cycle};
  store_item(job.writer.columns, position - job.writer.cursor.range().first,
             core::draw_negative(job.positives, user, job.plan.item_draw, stream, position,
                                 curand_source{job.writer.plan.seed}, 1));
}

template <typename Position, typename Form, typename Cursor>
__global__ void fill_points(const __grid_constant__ fill_job<Position, Form, Cursor> job) {
  extern __shared__ int4 memory[];
  __shared__ std::uint32_t open_count;
  const shared_tile shared = shared_tile::at(memory, &open_count);
  const std::uint64_t end = job.writer.cursor.range().end;
  std::uint64_t tile = job.writer.cursor.range().begin + blockIdx.x * blockDim.x;
  for (; tile < end; tile += gridDim.x * blockDim.x) {
    if (threadIdx.x == 0) open_count = 0;
    __syncthreads();
    if (tile + threadIdx.x < end) fill_four(job, tile + threadIdx.x, shared);
    __syncthreads();
    for (std::uint32_t k = threadIdx.x; k < open_count; k += blockDim.x) settle(job, tile, shared, shared.open[k]);
    __syncthreads();
  }
}

__global__ void make_cursor_state(core::training_plan plan, const fill_cursor* cursor, std::uint64_t count,
                                  training_columns columns, cursor_state* state) {
  state->key = core::cycle_key::make(plan, cursor->cycle, curand_source{plan.seed});
  state->range = fill_range::make(plan, cursor->first, count, columns);
}

template <typename Position, typename Form, typename Cursor>
void launch(const device_view& data, Form form, const point_writer<Cursor>& writer, std::uint64_t count,
            cudaStream_t stream, unsigned block_size) {
  const fill_job<Position, Form, Cursor> job{core::neighbour_plan<Position>::make(writer.plan, data.packed.layout),
                                             data.packed, {form, data.csr, data.item_count}, writer};
  const std::uint64_t most_quads = count / 4 + 2;  // a range may cut a block of four at both ends
  const unsigned grid = grid_for(core::ceil_div(most_quads, block_size));
  fill_points<<<grid, block_size, block_size * shared_tile::bytes_a_thread, stream>>>(job);
  NEGPIPE_CUDA_CHECK_LAUNCH("fill_points");
}

template <typename Position, typename Cursor>
void launch_form(const device_view& data, const point_writer<Cursor>& writer, std::uint64_t count,
                 cudaStream_t stream, unsigned block_size) {
  switch (data.form) {
    case membership_form::bitset:
      return launch<Position>(data, bitset_form{data.bitset}, writer, count, stream, block_size);
    case membership_form::pair_filter:
      return launch<Position>(data, filter_form{data.filter, data.positives()}, writer, count, stream, block_size);
    default:
      return launch<Position>(data, search_form{data.csr}, writer, count, stream, block_size);
  }
}

template <typename Cursor>
void fill(const core::training_plan& plan, const device_view& data, std::uint64_t count,
          const training_columns& columns, const Cursor& cursor, cudaStream_t stream, unsigned block_size) {
  const nvtx_range range("negpipe fill points");
  if (count == 0) return;
  const point_writer<Cursor> writer{plan, data.positives(), columns, cursor};
  if (core::neighbour_plan<std::uint32_t>::covers(plan, data.packed.layout)) {
    launch_form<std::uint32_t>(data, writer, count, stream, block_size);
  } else if (core::neighbour_plan<std::uint64_t>::covers(plan, data.packed.layout)) {
    launch_form<std::uint64_t>(data, writer, count, stream, block_size);
  } else {
    fill_general_async(writer, count, stream);
  }
}

}  // namespace

void fill_training_async(const core::training_plan& plan, const core::cycle_key& key, const device_view& data,
                         std::uint64_t first, std::uint64_t count, const training_columns& columns,
                         cudaStream_t stream, unsigned block_size) {
  fill(plan, data, count, columns, fixed_cursor{{key, fill_range::make(plan, first, count, columns)}}, stream,
       block_size);
}

void fill_training_async(const core::training_plan& plan, const fill_cursor* cursor, cursor_state* state,
                         const device_view& data, std::uint64_t count, const training_columns& columns,
                         cudaStream_t stream, unsigned block_size) {
  make_cursor_state<<<1, 1, 0, stream>>>(plan, cursor, count, columns, state);
  NEGPIPE_CUDA_CHECK_LAUNCH("make_cursor_state");
  fill(plan, data, count, columns, replayed_cursor{state}, stream, block_size);
}

}  // namespace negpipe::cuda
