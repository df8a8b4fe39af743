#include "repair_rows.hpp"

#include "curand_source.hpp"
#include "draw_quads.hpp"

namespace negpipe::cuda {

namespace {

constexpr std::uint32_t warp_size = 32;
constexpr std::uint32_t whole_warp = ~0U;

__device__ std::uint32_t lane_number() { return threadIdx.x % warp_size; }

// Returns the sum of the lanes' values, in all lanes.
__device__ std::uint32_t warp_sum(std::uint32_t value) {
  for (std::uint32_t offset = warp_size / 2; offset != 0; offset /= 2) {
    value += __shfl_xor_sync(whole_warp, value, static_cast<int>(offset));
  }
  return value;
}

// The items of a row.
struct row_items {
  const core::evaluation_pointers& columns;
  std::uint64_t begin;

  __device__ std::int32_t operator[](std::uint32_t column) const {
    const std::uint64_t offset = begin + column;
    return columns.item_width == item_type::uint16 ? static_cast<const std::uint16_t*>(columns.items)[offset]
                                                   : static_cast<const std::int32_t*>(columns.items)[offset];
  }
  __device__ void set(std::uint32_t column, std::int32_t item) const {
    store_item(columns.items, columns.item_width, begin + column, item);
  }
};

// The first values of a row as core::taken_items: the held-out item, then distinct negatives. All lanes of a warp call
// a member together, with the same arguments, and get the same result.
struct taken_by_row {
  row_items row;
  std::uint32_t count;

  NEGPIPE_HD bool contains([[maybe_unused]] std::int32_t item) const {
#if defined(__CUDA_ARCH__)
    bool found = false;
    for (std::uint32_t c = lane_number(); c < count; c += warp_size) found |= row[c] == item;
    return __any_sync(whole_warp, found) != 0;
#else
    return false;  // never called
#endif
  }

  template <typename Outside>
  NEGPIPE_HD std::uint32_t mass([[maybe_unused]] const Outside& outside, [[maybe_unused]] std::uint32_t limit) const {
#if defined(__CUDA_ARCH__)
    std::uint32_t sum = 0;
    for (std::uint32_t c = lane_number(); c < count; c += warp_size) {
      const std::int32_t item = row[c];
      if (!outside.row.contains(item) && outside.mass_below(item) <= limit) sum += outside.mass_of(item);
    }
    return warp_sum(sum);
#else
    return 0;  // never called
#endif
  }
};

struct repair_job {
  core::evaluation_plan plan;
  core::positives_view positives;
  std::uint64_t first_row;
  std::uint64_t row_count;
  core::evaluation_pointers columns;
};

// core::items_left, by a warp.
__device__ std::uint32_t count_items_left(const repair_job& job, user_id user) {
  const core::weighted_outside outside = core::items_outside(job.positives, user, job.plan.weights);
  const std::int32_t heldout = job.positives.heldout[index(user)];
  std::uint32_t excluded = lane_number() == 0 && outside.mass_of(heldout) != 0 ? 1U : 0U;
  for (std::uint32_t k = lane_number(); k < outside.row.count; k += warp_size) {
    excluded += outside.mass_of(outside.row.items[k]) != 0 ? 1U : 0U;
  }
  return job.plan.weighted_items - warp_sum(excluded);
}

// Returns whether one of the first lanes of the warp has the lane's item; each lane gives its own count of lanes.
__device__ bool lanes_have(std::int32_t theirs, std::uint32_t lane_count, std::int32_t item) {
  bool found = false;
  for (std::uint32_t lane = 0; lane < warp_size; ++lane) {
    found |= __shfl_sync(whole_warp, theirs, static_cast<int>(lane)) == item && lane < lane_count;
  }
  return found;
}

// Draws negatives 1 .. count of a row again that are taken: columns in order, of which each lane examines one in 32.
__device__ void make_distinct(const repair_job& job, user_id user, const row_items& row, std::uint32_t count) {
  const std::uint64_t first = job.plan.first_element(user);
  for (std::uint32_t begin = 1; begin <= count; begin += warp_size) {
    const std::uint32_t column = begin + lane_number();
    const std::int32_t item = column <= count ? row[column] : core::no_item;
    bool is_taken = lanes_have(item, lane_number(), item);
    for (std::uint32_t c = 0; c < begin; c += warp_size) {
      const std::uint32_t earlier = c + lane_number();
      is_taken |= lanes_have(earlier < begin ? row[earlier] : core::no_item, warp_size, item);
    }
    is_taken &= column <= count;
    // At most a step per lane: each leaves only lanes above its own open. draw_free ends for all weights.
    for (std::uint32_t open = __ballot_sync(whole_warp, is_taken); open != 0;) {
      const auto lane = static_cast<std::uint32_t>(__ffs(static_cast<int>(open))) - 1;
      const std::uint32_t c = begin + lane;
      const std::int32_t drawn =
          core::draw_free(job.positives, user, job.plan.weights, core::evaluation_stream(), first + c,
                          taken_by_row{row, c}, curand_source{job.plan.seed});
      if (lane_number() == lane) row.set(c, drawn);
      __syncwarp();
      // A column that stays may have the item that was drawn now.
      is_taken = lane_number() > lane && (is_taken || item == drawn);
      open = __ballot_sync(whole_warp, is_taken);
    }
  }
}

// A warp per row.
__global__ void __launch_bounds__(max_block_size) repair_rows(const __grid_constant__ repair_job job) {
  const core::evaluation_plan& plan = job.plan;
  const auto length = static_cast<std::uint32_t>(plan.row_length());
  for (std::uint64_t i = thread_number() / warp_size; i < job.row_count; i += grid_threads() / warp_size) {
    const std::uint64_t number = job.first_row + i;
    const row_items row{job.columns, i * length};
    const bool has_item = number < plan.user_count && job.positives.heldout[number] >= 0;
    const user_id user{has_item ? static_cast<std::int32_t>(number) : 0};
    const std::uint32_t left = has_item ? count_items_left(job, user) : 0;
    const bool is_zero = left < (plan.fewer ? 1 : plan.negatives);
    if (!is_zero) make_distinct(job, user, row, min(left, plan.negatives));
    for (std::uint32_t c = lane_number(); c < length; c += warp_size) {
      if (is_zero) {
        job.columns.users[row.begin + c] = 0;
        row.set(c, 0);
      } else if (c > left) {
        row.set(c, row[(c - 1) % left + 1]);
      }
      job.columns.duplicate_mask[row.begin + c] = c > (is_zero ? 0 : left) ? 1 : 0;
    }
  }
}

}  // namespace

void repair_rows_async(const core::evaluation_plan& plan, const device_view& data, std::uint64_t first_row,
                       std::uint64_t row_count, const core::evaluation_pointers& columns, const launcher& on) {
  const std::uint64_t rows_per_block = on.block_size / warp_size;
  on("launch of repair_rows", repair_rows, dim3(grid_for(core::ceil_div(row_count, rows_per_block))),
     repair_job{plan, data.positives(), first_row, row_count, columns});
}

}  // namespace negpipe::cuda
