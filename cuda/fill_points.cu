#include "fill_points.hpp"

#include <algorithm>

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
  std::uint64_t count;
  std::uint64_t plain_end;  // positions from here on are padding, or left out
  point_writer<Cursor> writer;  // for positions at the edges: padding, and the ends of a range
};

// Positions of a block's tile whose first candidate did not settle them.
struct unsettled_queue {
  struct entry {
    std::int32_t user;
    std::uint32_t offset;  // from the tile's first position
  };
  std::uint32_t* count;
  entry* entries;

  __device__ void push(std::uint32_t mask, const std::int32_t (&user)[4], std::uint32_t offset) const {
    std::uint32_t place = atomicAdd(count, core::count_ones(mask));
    NEGPIPE_UNROLL
    for (std::uint32_t j = 0; j < 4; ++j) {
      if ((mask >> j & 1U) != 0) entries[place++] = {user[j], offset + j};
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

// Whether four values from a place on may be stored as vectors.
__device__ bool is_aligned(const training_columns& columns, std::uint64_t place) {
  const std::uint64_t item_width = columns.item_width == item_type::uint16 ? 2 : 4;
  const auto users = reinterpret_cast<std::uintptr_t>(columns.users + place);
  const auto items = reinterpret_cast<std::uintptr_t>(columns.items) + place * item_width;
  const auto labels = reinterpret_cast<std::uintptr_t>(columns.labels + place);
  const auto valid = columns.valid == nullptr ? 0 : reinterpret_cast<std::uintptr_t>(columns.valid + place);
  return ((users % 16) | (items % (4 * item_width)) | (labels % 4) | (valid % 4)) == 0;
}

// Out of line: needed by a few threads of a launch, and heavy.
template <typename Writer>
__device__ __noinline__ void write_edge(const Writer& writer, std::uint64_t first, std::uint64_t count,
                                        std::uint64_t position) {
  for (std::uint64_t p = position; p < position + 4; ++p) {
    if (p >= first && p < first + count) writer(p - first);
  }
}

// The points of the four positions from 4 * quad on, as far as they lie in the range.
template <typename Position, typename Form, typename Cursor>
__device__ void fill_four(const fill_job<Position, Form, Cursor>& job, std::uint64_t quad, std::uint32_t offset,
                          const unsettled_queue& queue) {
  const std::uint64_t position = 4 * quad;
  const std::uint64_t first = job.writer.cursor.first();
  if (position < first || position + 4 > first + job.count || position + 4 > job.plain_end) {
    write_edge(job.writer, first, job.count, position);
    return;
  }
  const auto made = core::points_at(job.plan, job.writer.cursor.key(), job.packed, job.positives.csr,
                                    job.positives.form, static_cast<Position>(position),
                                    curand_source{job.writer.plan.seed});
  const std::uint64_t place = position - first;
  if (is_aligned(job.writer.columns, place)) {
    store_four(job.writer.columns, place, made);
  } else {
    store_each(job.writer.columns, place, made);
  }
  if (made.unsettled != 0) queue.push(made.unsettled, made.user, offset);
}

// Draws again, from the first candidate on, what a first candidate left open: the lanes of a few full warps work
// where a handful of each warp would.
template <typename Position, typename Form, typename Cursor>
__device__ void settle(const fill_job<Position, Form, Cursor>& job, std::uint64_t tile_quad,
                       unsettled_queue::entry open) {
  const std::uint64_t position = 4 * tile_quad + open.offset;
  const core::draw_stream stream{core::tag::train_draw, core::tag::train_fallback,
                                 job.writer.cursor.key().cycle};
  store_item(job.writer.columns, position - job.writer.cursor.first(),
             core::draw_negative(job.positives, user_id{open.user}, job.plan.item_draw, stream, position,
                                 curand_source{job.writer.plan.seed}));
}

template <typename Position, typename Form, typename Cursor>
__global__ void fill_points(const __grid_constant__ fill_job<Position, Form, Cursor> job) {
  extern __shared__ unsettled_queue::entry entries[];
  __shared__ std::uint32_t open_count;
  const std::uint64_t end = core::ceil_div(job.writer.cursor.first() + job.count, 4);
  std::uint64_t tile = job.writer.cursor.first() / 4 + blockIdx.x * static_cast<std::uint64_t>(blockDim.x);
  for (; tile < end; tile += gridDim.x * static_cast<std::uint64_t>(blockDim.x)) {
    if (threadIdx.x == 0) open_count = 0;
    __syncthreads();
    if (tile + threadIdx.x < end) {
      fill_four(job, tile + threadIdx.x, 4 * threadIdx.x, unsettled_queue{&open_count, entries});
    }
    __syncthreads();
    for (std::uint32_t k = threadIdx.x; k < open_count; k += blockDim.x) settle(job, tile, entries[k]);
    __syncthreads();
  }
}

__global__ void make_cursor_state(core::training_plan plan, const fill_cursor* cursor, cursor_state* state) {
  state->key = core::cycle_key::make(plan, cursor->cycle, curand_source{plan.seed});
  state->first = cursor->first;
}

template <typename Position, typename Form, typename Cursor>
void launch(const device_view& data, Form form, const point_writer<Cursor>& writer, std::uint64_t count,
            cudaStream_t stream, unsigned block_size) {
  const fill_job<Position, Form, Cursor> job{
      core::neighbour_plan<Position>::make(writer.plan, data.packed.layout), data.packed,
      {form, data.csr, data.item_count}, count, std::min(writer.plan.point_count, writer.plan.padded_count()), writer};
  const std::uint64_t most_quads = count / 4 + 2;  // a range may cut a block of four at both ends
  const unsigned grid = grid_for(core::ceil_div(most_quads, block_size));
  fill_points<<<grid, block_size, 4 * block_size * sizeof(unsettled_queue::entry), stream>>>(job);
  NEGPIPE_CUDA_CHECK_LAUNCH("fill_points");
}

template <typename Position, typename Cursor>
void launch_form(const device_view& data, const point_writer<Cursor>& writer, std::uint64_t count,
                 cudaStream_t stream, unsigned block_size) {
  switch (data.form) {
    case membership_form::bitset:
      return launch<Position>(data, bitset_form{data.bitset}, writer, count, stream, block_size);
    case membership_form::pair_filter:
      return launch<Position>(data, filter_form{data.filter, data.csr}, writer, count, stream, block_size);
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
  if (core::neighbour_plan<std::uint32_t>::covers(plan)) {
    launch_form<std::uint32_t>(data, writer, count, stream, block_size);
  } else if (core::neighbour_plan<std::uint64_t>::covers(plan)) {
    launch_form<std::uint64_t>(data, writer, count, stream, block_size);
  } else {
    fill_general_async(writer, count, stream);
  }
}

}  // namespace

void fill_training_async(const core::training_plan& plan, const core::cycle_key& key, const device_view& data,
                         std::uint64_t first, std::uint64_t count, const training_columns& columns,
                         cudaStream_t stream, unsigned block_size) {
  fill(plan, data, count, columns, fixed_cursor{key, first}, stream, block_size);
}

void fill_training_async(const core::training_plan& plan, const fill_cursor* cursor, cursor_state* state,
                         const device_view& data, std::uint64_t count, const training_columns& columns,
                         cudaStream_t stream, unsigned block_size) {
  make_cursor_state<<<1, 1, 0, stream>>>(plan, cursor, state);
  NEGPIPE_CUDA_CHECK_LAUNCH("make_cursor_state");
  fill(plan, data, count, columns, replayed_cursor{state}, stream, block_size);
}

}  // namespace negpipe::cuda
