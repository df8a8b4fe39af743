#include "fill_pairs.hpp"

#include <algorithm>

#include "bits.hpp"
#include "curand_source.hpp"
#include "membership.hpp"
#include "negpipe/core/divide.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

// What all kernels of a fill read: parameters in the constant bank.
struct row_job {
  core::training_plan plan;
  core::cycle_key key;
  core::positives_view positives;
  core::pair_pointers columns;
  std::uint64_t first;
  std::uint64_t count;
};

__device__ std::uint64_t thread_number() {
  return blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x;
}
__device__ std::uint64_t grid_threads() { return gridDim.x * static_cast<std::uint64_t>(blockDim.x); }

__device__ void store_item(void* column, item_type width, std::uint64_t offset, std::int32_t item) {
  if (width == item_type::uint16) {
    static_cast<std::uint16_t*>(column)[offset] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(column)[offset] = item;
  }
}

// Users, positives and the mask of all rows, with core's own function.
__global__ void fill_rows(const __grid_constant__ row_job job) {
  const core::pair_pointers& columns = job.columns;
  for (std::uint64_t i = thread_number(); i < job.count; i += grid_threads()) {
    const core::pair_row row =
        core::pair_at(job.plan, job.key, job.positives, job.first + i, curand_source{job.plan.seed});
    columns.users[i] = index(row.user);
    store_item(columns.items, columns.item_width, i, index(row.item));
    if (columns.valid != nullptr) columns.valid[i] = row.valid;
  }
}

// Negatives of the rows from number begin of the range on, which are padding, with core's own function.
__global__ void fill_padding_negatives(const __grid_constant__ row_job job, std::uint64_t begin) {
  const std::uint64_t negatives = job.plan.negatives;
  const curand_source source{job.plan.seed};
  for (std::uint64_t i = begin * negatives + thread_number(); i < job.count * negatives; i += grid_threads()) {
    const std::uint64_t number = i / negatives;
    const core::pair_row row = core::pair_at(job.plan, job.key, job.positives, job.first + number, source);
    const auto k = static_cast<std::uint32_t>(i - number * negatives);
    store_item(job.columns.negatives, job.columns.item_width, i,
               index(core::pair_negative(job.plan, job.key, job.positives, row, k, source)));
  }
}

// The draws of rows without padding. Draw first_draw + i is value i of the column of negatives.
template <typename Form>
struct draw_job {
  scheduled_source source;
  positives_of<Form> positives;
  core::draw_stream stream;
  core::bounded32 item_draw;
  core::divider64 by_negatives;
  std::uint32_t negatives;  // K >= 2 or by_negatives is not used
  bool is_aligned;          // quads of draws may be stored at once
  const std::int32_t* users;
  void* items;
  item_type item_width;
  std::uint64_t first_draw;
  std::uint64_t end_draw;

  __device__ std::uint64_t row_of(std::uint64_t value) const { return negatives == 1 ? value : by_negatives(value); }

  __device__ void store(std::uint64_t draw, std::int32_t item) const {
    store_item(items, item_width, draw - first_draw, item);
  }
  __device__ void store_quad(std::uint64_t first, const std::int32_t (&item)[4]) const {
    const std::uint64_t quad = (first - first_draw) / 4;
    if (item_width == item_type::uint16) {
      const auto half = [&](int j) {
        return join_halves(static_cast<std::uint32_t>(item[j]), static_cast<std::uint32_t>(item[j + 1]));
      };
      static_cast<uint2*>(items)[quad] = make_uint2(half(0), half(2));
    } else {
      static_cast<int4*>(items)[quad] = make_int4(item[0], item[1], item[2], item[3]);
    }
  }
};

// The slots of a block whose first candidate may be a positive or has a rejected word.
struct open_slots {
  std::uint16_t value[4 * max_block_size];
  std::uint32_t count;
};

// Makes the first candidates of draws 4 * quad .. 4 * quad + 3, with one random block and one division for the row.
template <typename Form>
__device__ void propose_quad(const draw_job<Form>& job, std::uint64_t quad, open_slots& open) {
  const std::uint64_t draw = 4 * quad;
  const auto block = job.source(core::make_counter(job.stream.candidates, job.stream.cycle, quad, 0));
  const std::uint64_t from = draw < job.first_draw ? 0 : draw - job.first_draw;
  std::uint64_t row = job.row_of(from);
  auto k = static_cast<std::uint32_t>(from - row * job.negatives);
  std::int32_t item[4];
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    item[j] = 0;
    if (draw + j < job.first_draw || draw + j >= job.end_draw) continue;
    std::uint32_t candidate = 0;
    const bool is_accepted = job.item_draw(block.word[j], candidate);
    item[j] = static_cast<std::int32_t>(candidate);
    const std::uint32_t doubt = job.positives.form.ask(user_id{job.users[row]}, item[j], 0);
    if (!is_accepted || (doubt & 1U) != 0) {
      open.value[atomicAdd(&open.count, 1U)] = static_cast<std::uint16_t>(4 * threadIdx.x + j);
    }
    if (!job.is_aligned) job.store(draw + j, item[j]);
    if (++k == job.negatives) {
      k = 0;
      ++row;
    }
  }
  if (job.is_aligned) job.store_quad(draw, item);
}

// Out of line: a loop over attempts that few draws need.
template <typename Form>
__device__ __noinline__ std::int32_t draw_again(const draw_job<Form>& job, user_id user, std::uint64_t draw) {
  return core::draw_negative(job.positives, user, job.item_draw, job.stream, draw, job.source);
}

// A block makes four draws a thread, then shares the draws that need more than the first candidate.
template <typename Form>
__global__ void __launch_bounds__(max_block_size) fill_negatives(const __grid_constant__ draw_job<Form> job) {
  __shared__ open_slots open;
  const std::uint64_t first_quad =
      job.first_draw / 4 + blockIdx.x * static_cast<std::uint64_t>(blockDim.x);
  if (threadIdx.x == 0) open.count = 0;
  __syncthreads();
  if (4 * (first_quad + threadIdx.x) < job.end_draw) propose_quad(job, first_quad + threadIdx.x, open);
  __syncthreads();
  for (std::uint32_t i = threadIdx.x; i < open.count; i += blockDim.x) {
    const std::uint64_t draw = 4 * first_quad + open.value[i];
    const user_id user{job.users[job.row_of(draw - job.first_draw)]};
    job.store(draw, draw_again(job, user, draw));
  }
}

template <typename Form>
void launch_negatives(const row_job& rows, Form form, const device_view& data, std::uint64_t row_count,
                      const launcher& on) {
  const std::uint32_t negatives = rows.plan.negatives;
  const core::pair_pointers& columns = rows.columns;
  const std::uint64_t first_draw = rows.first * negatives;
  const std::uint64_t end_draw = first_draw + row_count * negatives;
  const std::uint64_t quad_bytes = 4 * item_bytes(columns.item_width);
  const bool is_aligned = first_draw % 4 == 0 && end_draw % 4 == 0 &&
                          reinterpret_cast<std::uintptr_t>(columns.negatives) % quad_bytes == 0;
  const draw_job<Form> job{scheduled_source(rows.plan.seed),
                           {form, data.csr, data.item_count},
                           core::pair_stream(rows.key.cycle),
                           rows.plan.item_draw,
                           core::divider64::make(std::max(2U, negatives)),
                           negatives,
                           is_aligned,
                           columns.users,
                           columns.negatives,
                           columns.item_width,
                           first_draw,
                           end_draw};
  const std::uint64_t quads = core::ceil_div(end_draw, 4) - first_draw / 4;
  const auto grid = static_cast<unsigned>(core::ceil_div(quads, on.block_size));
  on("launch of fill_negatives", fill_negatives<Form>, dim3(grid), job);
}

void launch_form(const row_job& rows, const device_view& data, std::uint64_t row_count, const launcher& on) {
  switch (data.form) {
    case membership_form::bitset:
      return launch_negatives(rows, bitset_form{data.bitset}, data, row_count, on);
    case membership_form::bloom_filter:
      return launch_negatives(rows, filter_form{data.filter, data.positives()}, data, row_count, on);
    default:
      return launch_negatives(rows, search_form{data.csr}, data, row_count, on);
  }
}

}  // namespace

void fill_pairs_async(const core::training_plan& plan, const core::cycle_key& key, const device_view& data,
                      std::uint64_t first, std::uint64_t count, const core::pair_pointers& columns,
                      const launcher& on) {
  if (count == 0) return;
  const nvtx_range range("negpipe fill pairs");
  const row_job job{plan, key, data.positives(), columns, first, count};
  on("launch of fill_rows", fill_rows, dim3(grid_for(core::ceil_div(count, on.block_size))), job);
  if (plan.negatives == 0) return;
  const std::uint64_t plain = first < plan.point_count ? std::min(count, plan.point_count - first) : 0;
  if (plain != 0 || on.load_only) launch_form(job, data, plain, on);
  if (plain == count && !on.load_only) return;
  const std::uint64_t values = (count - plain) * plan.negatives;
  on("launch of fill_padding_negatives", fill_padding_negatives,
     dim3(grid_for(core::ceil_div(values, on.block_size))), job, plain);
}

}  // namespace negpipe::cuda
