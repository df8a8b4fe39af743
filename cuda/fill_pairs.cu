#include "fill_pairs.hpp"

#include <algorithm>

#include "curand_source.hpp"
#include "draw_quads.hpp"
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

// Rows of the pairwise layout, whose users are in the column that fill_rows wrote.
struct pair_rows {
  static constexpr bool may_be_empty = false;

  draw_range span;
  const std::int32_t* users;

  __device__ const draw_range& range() const { return span; }
  __device__ std::int32_t user(std::uint64_t row) const { return users[row]; }
};

// The negatives of the first row_count rows, which have no padding.
void launch_negatives(const row_job& rows, const device_view& data, std::uint64_t row_count, const launcher& on) {
  const std::uint32_t negatives = rows.plan.negatives;
  const core::pair_pointers& columns = rows.columns;
  const std::uint64_t first = rows.first * negatives;
  const std::uint64_t end = first + row_count * negatives;
  const bool is_aligned = first % 4 == 0 && stores_quads(columns.negatives, columns.item_width);
  const pair_rows drawn{{core::pair_stream(rows.key.cycle), first, end, is_aligned}, columns.users};
  const draw_target target{columns.negatives, columns.item_width, negatives};
  if (rows.plan.weights.is_set()) {
    launch_draws(data, rows.plan.seed, rows.plan.weights, drawn, target, end - first, on);
  } else {
    launch_draws(data, rows.plan.seed, rows.plan.item_draw, drawn, target, end - first, on);
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
  if (plain != 0 || on.load_only) launch_negatives(job, data, plain, on);
  if (plain == count && !on.load_only) return;
  const std::uint64_t values = (count - plain) * plan.negatives;
  on("launch of fill_padding_negatives", fill_padding_negatives,
     dim3(grid_for(core::ceil_div(values, on.block_size))), job, plain);
}

}  // namespace negpipe::cuda
