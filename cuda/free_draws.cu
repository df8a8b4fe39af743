#include "free_draws.hpp"

#include "draw_quads.hpp"
#include "negpipe/core/free_draw.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

constexpr std::uint32_t warp_size = 32;
constexpr std::uint32_t whole_warp = ~0U;

// The users of a call, one per row.
struct user_rows {
  static constexpr bool is_shared = false;

  id_values users;
  std::int32_t user_count;  // of the dataset
  problem_writer problems;

  static __device__ core::free_stream stream(std::uint32_t at) { return core::free_stream::for_users(at); }
  __device__ std::int32_t user(std::uint64_t row) const {
    return users.checked(row, user_count, problem::unknown_user, problems);
  }
};

// The one row of a shared call, which belongs to nobody.
struct shared_row {
  static constexpr bool is_shared = true;

  static __device__ core::free_stream stream(std::uint32_t at) { return core::free_stream::shared(at); }
  __device__ std::int32_t user(std::uint64_t) const { return 0; }
};

// The numbers of a call, when its kernels run.
__device__ std::uint32_t at_of(const free_call& call) {
  return call.at + (call.device_at == nullptr ? 0 : static_cast<std::uint32_t>(*call.device_at));
}
__device__ std::uint64_t offset_of(const free_call& call) {
  return call.offset + (call.device_offset == nullptr ? 0 : static_cast<std::uint64_t>(*call.device_offset));
}

// The rows of draw_quads.hpp.
struct free_rows {
  static constexpr bool may_be_empty = true;

  user_rows rows;
  free_call call;
  std::uint64_t value_count;
  bool may_align;  // if the first draw is a multiple of four

  __device__ draw_range range() const {
    const std::uint64_t first = offset_of(call) * call.negatives;
    return {user_rows::stream(at_of(call)).draws, first, first + value_count, may_align && first % 4 == 0};
  }
  __device__ std::int32_t user(std::uint64_t row) const { return rows.user(row); }
};

// Parameters of the kernels that make elements with core's own function.
// - Positives: core::positives_view with user_rows, core::no_positives with shared_row.
template <typename Positives, typename ItemDraw, typename Rows>
struct element_job {
  curand_source source;
  Positives positives;
  ItemDraw item_draw;
  Rows rows;
  free_call call;
  std::uint64_t row_count;
  problem_writer problems;
  std::int32_t* out;

  // Returns element k of a row. Shared elements are counted one by one, others by rows.
  __device__ std::int32_t draw(std::uint64_t row, std::int32_t user, std::uint32_t k,
                               const core::taken_items& taken) const {
    const std::uint64_t first = offset_of(call) * (Rows::is_shared ? 1 : call.negatives);
    return core::draw_free(positives, user_id{user}, item_draw, Rows::stream(at_of(call)),
                           first + row * call.negatives + k, taken, source);
  }
};

template <typename Job>
__global__ void draw_shared(const __grid_constant__ Job job) {
  for (std::uint64_t k = thread_number(); k < job.call.negatives; k += grid_threads()) {
    job.out[k] = job.draw(0, 0, static_cast<std::uint32_t>(k), {});
  }
}

// Returns, in all lanes of the warp, whether one of the lanes finds the item among values.
__device__ bool warp_finds(std::int32_t item, const std::int32_t* values, std::uint32_t count) {
  bool found = false;
  for (std::uint32_t i = threadIdx.x % warp_size; i < count; i += warp_size) found |= values[i] == item;
  return __any_sync(whole_warp, found) != 0;
}

// Returns, in all lanes of the warp, whether an excluded item of the row does not exist, and reports it.
template <typename Job>
__device__ bool has_unknown_item(const Job& job, std::uint64_t row) {
  bool found = false;
  for (std::uint32_t i = threadIdx.x % warp_size; i < job.call.excluded_count; i += warp_size) {
    const std::uint64_t index = row * job.call.excluded_count + i;
    if (job.call.excluded[index] < job.positives.item_count) continue;
    job.problems.report(problem::unknown_item, index);
    found = true;
  }
  return __any_sync(whole_warp, found) != 0;
}

// Sets elements [begin, K) of a row to no_item, by the warp.
template <typename Job>
__device__ void clear_row(const Job& job, std::int32_t* row, std::uint32_t begin) {
  for (std::uint32_t k = begin + threadIdx.x % warp_size; k < job.call.negatives; k += warp_size) {
    row[k] = core::no_item;
  }
}

// Draws the elements of a row again that are taken: excluded, or earlier in the row if it is distinct.
template <typename Job>
__device__ void replace_in_row(const Job& job, std::uint64_t number, std::int32_t user) {
  const free_call& call = job.call;
  std::int32_t* const row = job.out + number * call.negatives;
  const std::int32_t* const excluded = call.excluded + number * call.excluded_count;
  if (has_unknown_item(job, number)) return clear_row(job, row, 0);
  for (std::uint32_t k = 0; k < call.negatives; ++k) {
    const std::uint32_t earlier = call.distinct ? k : 0;
    if (!warp_finds(row[k], excluded, call.excluded_count) && !warp_finds(row[k], row, earlier)) continue;
    if (threadIdx.x % warp_size == 0) {
      row[k] = job.draw(number, user, k, {excluded, call.excluded_count, row, earlier});
    }
    __syncwarp();
    if (row[k] != core::no_item) continue;
    if (threadIdx.x % warp_size == 0) job.problems.report(problem::no_items_left, number);
    return clear_row(job, row, k + 1);
  }
}

// A warp per row.
template <typename Job>
__global__ void __launch_bounds__(max_block_size) replace_taken(const __grid_constant__ Job job) {
  for (std::uint64_t row = thread_number() / warp_size; row < job.row_count; row += grid_threads() / warp_size) {
    const std::int32_t user = job.rows.user(row);
    if (user >= 0) replace_in_row(job, row, user);
  }
}

template <typename Job>
void launch_replacement(const Job& job, const launcher& on) {
  const bool has_taken = job.call.distinct || job.call.excluded_count != 0;
  if (!has_taken && !on.load_only) return;
  const std::uint64_t rows_per_block = on.block_size / warp_size;
  on("launch of replace_taken", replace_taken<Job>, dim3(grid_for(core::ceil_div(job.row_count, rows_per_block))),
     job);
}

// Calls work with the item draw of a sampler.
template <typename Work>
void with_draw(const free_source& source, const Work& work) {
  if (source.weights.is_set()) return work(source.weights);
  work(core::bounded32::make(static_cast<std::uint32_t>(source.data.item_count)));
}

}  // namespace

void draw_free_async(const free_source& source, const free_call& call, const id_values& users,
                     std::uint64_t user_count, std::int32_t* out, const launcher& on) {
  if (user_count == 0 && !on.load_only) return;
  const nvtx_range range("negpipe free draws");
  const user_rows rows{users, source.data.user_count, source.problems};
  const std::uint64_t count = user_count * call.negatives;
  with_draw(source, [&]<typename ItemDraw>(const ItemDraw& item_draw) {
    const free_rows all{rows, call, count, stores_quads(out, item_type::int32)};
    launch_draws(source.data, source.seed, item_draw, all, {out, item_type::int32, call.negatives}, count, on);
    launch_replacement(element_job<core::positives_view, ItemDraw, user_rows>{{source.seed},
                                                                              source.data.positives(),
                                                                              item_draw,
                                                                              rows,
                                                                              call,
                                                                              user_count,
                                                                              source.problems,
                                                                              out},
                       on);
  });
}

void draw_shared_async(const free_source& source, const free_call& call, std::int32_t* out, const launcher& on) {
  const nvtx_range range("negpipe shared draws");
  with_draw(source, [&]<typename ItemDraw>(const ItemDraw& item_draw) {
    using job_type = element_job<core::no_positives, ItemDraw, shared_row>;
    const job_type job{{source.seed}, {{}, source.data.item_count}, item_draw, {}, call, 1, source.problems, out};
    on("launch of draw_shared", draw_shared<job_type>, dim3(grid_for(core::ceil_div(call.negatives, on.block_size))),
       job);
    launch_replacement(job, on);
  });
}

}  // namespace negpipe::cuda
