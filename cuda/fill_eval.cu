#include "fill_eval.hpp"

#include <type_traits>

#include "curand_source.hpp"
#include "duplicate_masks.hpp"
#include "negpipe/core/divide.hpp"
#include "nvtx.hpp"
#include "repair_rows.hpp"

namespace negpipe::cuda {

namespace {

__device__ void store_item(const core::evaluation_pointers& columns, std::uint64_t index, std::int32_t item) {
  if (columns.item_width == item_type::uint16) {
    static_cast<std::uint16_t*>(columns.items)[index] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(columns.items)[index] = item;
  }
}

// One launch for rows first_row .. first_row + row_count - 1. ItemDraw: that of the plan's negatives.
template <typename Form, typename ItemDraw>
struct eval_job {
  core::evaluation_plan plan;
  core::divider64 by_row_length;
  device_view data;
  positives_of<Form> positives;
  ItemDraw item_draw;
  std::uint64_t first_row;
  std::uint64_t row_count;
  core::evaluation_pointers columns;

  // Returns the number of the first requested element, counted over all users.
  __device__ std::uint64_t first_element() const { return (plan.first_user + first_row) * plan.row_length(); }

  // Returns whether the row's user has a held-out item, and an item that may be drawn.
  __device__ bool is_real(std::uint64_t row) const {
    if (row >= plan.user_count || data.heldout[row] < 0) return false;
    if constexpr (std::is_same_v<ItemDraw, core::weighted_draw>) {
      return core::items_outside(positives, user_id{static_cast<std::int32_t>(row)}, item_draw).mass() != 0;
    } else {
      return true;
    }
  }
};

// Makes the four elements from 4 * quad on, counted over all users (evaluation_plan::first_element), as far as they lie
// in the requested rows. Their first candidates share one random block.
template <typename Job>
__device__ void draw_four(const Job& job, std::uint64_t quad) {
  constexpr core::draw_stream stream = core::evaluation_stream().draws;
  const curand_source source{job.plan.seed};
  const auto block = source(core::make_counter(stream.candidates, stream.cycle, quad, 0));
  const std::uint64_t begin = job.first_element();
  const std::uint64_t end = begin + job.row_count * job.plan.row_length();
  NEGPIPE_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    const std::uint64_t element = 4 * quad + j;
    if (element < begin || element >= end) continue;
    const std::uint64_t row = job.by_row_length(element) - job.plan.first_user;
    const bool is_real = job.is_real(row);
    const user_id user{is_real ? static_cast<std::int32_t>(row) : 0};
    std::uint32_t item = 0;
    if (is_real && (job.plan.first_user + row) * job.plan.row_length() == element) {
      item = static_cast<std::uint32_t>(job.data.heldout[row]);
    } else if (is_real && (!job.item_draw(block.word[j], item) ||
                           (job.positives.form.ask(user, static_cast<std::int32_t>(item), 0) & 1U) != 0)) {
      item = static_cast<std::uint32_t>(
          core::draw_negative(job.positives, user, job.item_draw, stream, element, source));
    }
    job.columns.users[element - begin] = is_real ? static_cast<std::int32_t>(job.plan.first_user + row) : 0;
    store_item(job.columns, element - begin, static_cast<std::int32_t>(item));
  }
}

template <typename Form, typename ItemDraw>
__global__ void draw_rows(const __grid_constant__ eval_job<Form, ItemDraw> job) {
  const std::uint64_t begin = job.first_element();
  const std::uint64_t end = core::ceil_div(begin + job.row_count * job.plan.row_length(), 4);
  std::uint64_t quad = begin / 4 + blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x;
  for (; quad < end; quad += gridDim.x * static_cast<std::uint64_t>(blockDim.x)) draw_four(job, quad);
}

// A row's permutation and the constants of its elements, made by one thread of the block.
struct shared_row {
  core::evaluation_row row;
  core::divider32 by_right_radix;

  __device__ std::int32_t negative(std::uint32_t j) const {
    const core::permutation& order = row.order;
    if (!order.is_network()) return row.negative(j);
    const std::uint32_t left = by_right_radix(j);
    auto image = static_cast<std::uint32_t>(order.join(order.forward({left, j - left * order.right_radix})));
    if (image >= order.size) image = static_cast<std::uint32_t>(order(image));
    return row.item_of_rank(image);
  }
};

__device__ void zero_row(const core::evaluation_plan& plan, const core::evaluation_pointers& columns,
                         std::uint64_t begin) {
  for (std::uint64_t column = threadIdx.x; column < plan.row_length(); column += blockDim.x) {
    columns.users[begin + column] = 0;
    store_item(columns, begin + column, 0);
    columns.duplicate_mask[begin + column] = column == 0 ? 0 : 1;
  }
}

// One block per row. The items of a row are distinct as far as there are some, so the mask needs no search.
__global__ void permute_rows(core::evaluation_plan plan, device_view data, std::uint64_t first_row,
                             std::uint64_t row_count, core::evaluation_pointers columns) {
  __shared__ shared_row shared;
  for (std::uint64_t r = blockIdx.x; r < row_count; r += gridDim.x) {
    const std::uint64_t begin = r * plan.row_length();
    if (!core::is_evaluated(plan, data.positives(), first_row + r)) {
      zero_row(plan, columns, begin);
      continue;
    }
    const user_id user{static_cast<std::int32_t>(first_row + r)};
    __syncthreads();  // the previous row has been read
    if (threadIdx.x == 0) {
      shared.row = core::evaluation_row::make(data.positives(), user, curand_source{plan.seed},
                                             plan.first_user);
      if (shared.row.order.is_network()) {
        shared.by_right_radix = core::divider32::make(shared.row.order.right_radix);
      }
    }
    __syncthreads();
    for (std::uint32_t column = threadIdx.x; column < plan.row_length(); column += blockDim.x) {
      const auto size = static_cast<std::uint32_t>(shared.row.order.size);
      const auto j = static_cast<std::uint32_t>(column) - 1;
      const std::int32_t item =
          column == 0 ? data.heldout[index(user)] : shared.negative(plan.fewer && j >= size ? j % size : j);
      columns.users[begin + column] = static_cast<std::int32_t>(plan.first_user + first_row + r);
      store_item(columns, begin + column, item);
      columns.duplicate_mask[begin + column] = column > size ? 1 : 0;
    }
  }
}

// Negatives with replacement.
template <typename ItemDraw>
void launch_draw(const ItemDraw& item_draw, const core::evaluation_plan& plan, const device_view& data,
                 std::uint64_t first_row, std::uint64_t row_count, const core::evaluation_pointers& columns,
                 const launcher& on) {
  visit_form(data, [&]<typename Form>(const Form& form) {
    const eval_job<Form, ItemDraw> job{plan,      core::divider64::make(plan.row_length()),
                                       data,      {form, data.csr, data.item_count},
                                       item_draw, first_row,
                                       row_count, columns};
    const std::uint64_t quads = row_count * plan.row_length() / 4 + 2;
    on("launch of draw_rows", draw_rows<Form, ItemDraw>, grid_for(core::ceil_div(quads, on.block_size)), job);
  });
}

}  // namespace

std::uint64_t evaluation_workspace_bytes(const core::evaluation_plan& plan, const device_view& data,
                                         std::uint64_t row_count) {
  return plan.with_replacement ? duplicate_workspace_bytes(data.item_count, row_count, plan.row_length()) : 0;
}

void fill_evaluation_async(const core::evaluation_plan& plan, const device_view& data, std::uint64_t first_row,
                           std::uint64_t row_count, const core::evaluation_pointers& columns, void* workspace,
                           const launcher& on) {
  const nvtx_range range("negpipe fill evaluation");
  if (row_count == 0) return;
  if (!plan.with_replacement && !plan.weights.is_set()) {
    on("launch of permute_rows", permute_rows, grid_for(row_count), plan, data, first_row, row_count, columns);
    return;
  }
  if (plan.weights.is_set()) {
    launch_draw(plan.weights, plan, data, first_row, row_count, columns, on);
  } else {
    launch_draw(plan.item_draw, plan, data, first_row, row_count, columns, on);
  }
  if (!plan.with_replacement) return repair_rows_async(plan, data, first_row, row_count, columns, on);
  mark_duplicates_async(columns.items, columns.item_width, data.item_count, row_count, plan.row_length(),
                        columns.duplicate_mask, workspace, on);
}

}  // namespace negpipe::cuda
