#include "free_draws.hpp"
#include "membership.hpp"
#include "negpipe/core/divide.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

// What every kernel over id_pairs takes.
struct pair_loop {
  id_pairs pairs;
  std::int32_t user_count;
  std::int32_t item_count;
  problem_writer problems;
  core::divider64 by_columns;

  std::uint64_t count() const { return pairs.row_count * pairs.columns; }

  // Calls work(index, user, item) for each pair of this thread. Numbers that do not exist are -1.
  template <typename Work>
  __device__ void run(const Work& work) const {
    const std::uint64_t stride = gridDim.x * static_cast<std::uint64_t>(blockDim.x);
    for (std::uint64_t i = blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x;
         i < pairs.row_count * pairs.columns; i += stride) {
      const std::uint64_t row = by_columns(i);
      const std::uint64_t item_index = pairs.is_shared ? i - row * pairs.columns : i;
      work(i, pairs.users.checked(row, user_count, problem::unknown_user, problems),
           pairs.items.checked(item_index, item_count, problem::unknown_item, problems));
    }
  }
};

pair_loop loop_of(const free_source& source, const id_pairs& pairs) {
  return {pairs, source.data.user_count, source.data.item_count, source.problems, core::divider64::make(pairs.columns)};
}

template <typename Form>
__global__ void find_positives(const __grid_constant__ pair_loop loop, const __grid_constant__ Form form,
                               std::uint8_t* found) {
  loop.run([&](std::uint64_t i, std::int32_t user, std::int32_t item) {
    found[i] = user >= 0 && item >= 0 && form.contains(user_id{user}, item) ? 1 : 0;
  });
}

__global__ void subtract_logs(const __grid_constant__ pair_loop loop, const __grid_constant__ log_tables logs,
                              float* values) {
  loop.run([&](std::uint64_t i, std::int32_t user, std::int32_t item) {
    const double weight = item < 0 || logs.items == nullptr ? 0 : logs.items[item];
    values[i] = item < 0 ? 0 : static_cast<float>(weight - logs.users[user < 0 ? loop.user_count : user]);
  });
}

// Launches a kernel over all pairs.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(pair_loop, Parameters...), const pair_loop& loop, const launcher& on,
            Arguments... arguments) {
  if (loop.count() == 0 && !on.load_only) return;
  on(name, kernel, dim3(grid_for(core::ceil_div(loop.count(), on.block_size))), loop, arguments...);
}

}  // namespace

void find_positives_async(const free_source& source, const id_pairs& pairs, std::uint8_t* found, const launcher& on) {
  const nvtx_range range("negpipe find positives");
  visit_form(source.data, [&]<typename Form>(const Form& form) {
    launch("launch of find_positives", find_positives<Form>, loop_of(source, pairs), on, form, found);
  });
}

void log_q_async(const free_source& source, const log_tables& logs, const id_pairs& pairs, float* values,
                 const launcher& on) {
  const nvtx_range range("negpipe log q");
  launch("launch of subtract_logs", subtract_logs, loop_of(source, pairs), on, logs, values);
}

}  // namespace negpipe::cuda
