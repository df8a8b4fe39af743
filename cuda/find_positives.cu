#include "free_draws.hpp"
#include "membership.hpp"
#include "negpipe/core/divide.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

template <typename Form>
struct lookup_job {
  Form form;
  std::int32_t user_count;
  std::int32_t item_count;
  id_values users;
  id_values items;
  bool is_shared;  // the items of all rows
  core::divider64 by_columns;
  std::uint64_t columns;
  std::uint64_t count;
  std::uint8_t* found;
  problem_writer problems;
};

template <typename Form>
__global__ void find_positives(const __grid_constant__ lookup_job<Form> job) {
  const std::uint64_t stride = gridDim.x * static_cast<std::uint64_t>(blockDim.x);
  for (std::uint64_t i = blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x; i < job.count;
       i += stride) {
    const std::uint64_t row = job.by_columns(i);
    const std::uint64_t item_index = job.is_shared ? i - row * job.columns : i;
    const std::int32_t user = job.users.checked(row, job.user_count, problem::unknown_user, job.problems);
    const std::int32_t item = job.items.checked(item_index, job.item_count, problem::unknown_item, job.problems);
    job.found[i] = user >= 0 && item >= 0 && job.form.contains(user_id{user}, item) ? 1 : 0;
  }
}

}  // namespace

void find_positives_async(const free_source& source, const id_values& users, const id_values& items, bool is_shared,
                          std::uint64_t row_count, std::uint64_t columns, std::uint8_t* found, const launcher& on) {
  const nvtx_range range("negpipe find positives");
  const device_view& data = source.data;
  const std::uint64_t count = row_count * columns;
  if (count == 0 && !on.load_only) return;
  visit_form(data, [&]<typename Form>(const Form& form) {
    const lookup_job<Form> job{form,
                               data.user_count,
                               data.item_count,
                               users,
                               items,
                               is_shared,
                               core::divider64::make(columns),
                               columns,
                               count,
                               found,
                               source.problems};
    on("launch of find_positives", find_positives<Form>, dim3(grid_for(core::ceil_div(count, on.block_size))), job);
  });
}

}  // namespace negpipe::cuda
