#include "free_draws.hpp"

#include <algorithm>
#include <bit>

#include "draw_quads.hpp"
#include "negpipe/core/free_draw.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

constexpr std::uint32_t warp_size = 32;

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

// Returns the logarithm of the lanes for a row: one for each of K elements, at most a warp.
std::uint32_t team_bits_for(std::uint32_t negatives) {
  return static_cast<std::uint32_t>(std::bit_width(std::min(negatives, warp_size) - 1));
}

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
  std::uint32_t team_bits = team_bits_for(call.negatives);  // 2^team_bits lanes replace the taken elements of a row

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

// Neighbouring lanes of a warp that work on one row. A warp has several teams if rows are short.
struct row_team {
  std::uint32_t size;     // a power of two
  std::uint32_t first;    // lane of the warp
  std::uint32_t lane;     // of the team
  std::uint32_t members;  // lanes of the warp, as bits

  static __device__ row_team make(std::uint32_t size_bits) {
    const std::uint32_t size = 1U << size_bits;
    const std::uint32_t lane = threadIdx.x % size;
    const std::uint32_t first = threadIdx.x % warp_size - lane;
    return {size, first, lane, (~0U >> (warp_size - size)) << first};
  }
};

__device__ bool holds(const std::int32_t* values, std::uint32_t count, std::int32_t item) {
  bool found = false;
  for (std::uint32_t i = 0; i < count; ++i) found |= values[i] == item;
  return found;
}

// Returns, in all lanes of the team, whether an excluded item of the row does not exist, and reports it.
template <typename Job>
__device__ bool has_unknown_item(const Job& job, std::uint64_t row, const row_team& team) {
  bool found = false;
  for (std::uint32_t i = team.lane; i < job.call.excluded_count; i += team.size) {
    const std::uint64_t index = row * job.call.excluded_count + i;
    if (job.call.excluded[index] < job.positives.item_count) continue;
    job.problems.report(problem::unknown_item, index);
    found = true;
  }
  return __any_sync(team.members, found) != 0;
}

// Sets elements [begin, K) of a row to no_item, by the team.
template <typename Job>
__device__ void clear_row(const Job& job, std::int32_t* row, std::uint32_t begin, const row_team& team) {
  for (std::uint32_t k = begin + team.lane; k < job.call.negatives; k += team.size) row[k] = core::no_item;
}

// Draws the elements of a row again that are taken: excluded, or earlier in the row if it is distinct. Each lane keeps
// one element. An element that is drawn again may take the item of later ones; no element becomes free.
template <typename Job>
__device__ void replace_in_row(const Job& job, std::uint64_t number, std::int32_t user, const row_team& team) {
  const free_call& call = job.call;
  std::int32_t* const row = job.out + number * call.negatives;
  const std::int32_t* const excluded = call.excluded + number * call.excluded_count;
  if (has_unknown_item(job, number, team)) return clear_row(job, row, 0, team);
  for (std::uint32_t begin = 0; begin < call.negatives; begin += team.size) {
    const std::uint32_t k = begin + team.lane;
    const bool is_element = k < call.negatives;
    std::int32_t item = is_element ? row[k] : core::no_item - 1 - static_cast<std::int32_t>(team.lane);
    bool is_taken = is_element && holds(excluded, call.excluded_count, item);
    if (call.distinct) {
      const std::uint32_t below = (1U << (team.first + team.lane)) - 1;
      is_taken |= (__match_any_sync(team.members, item) & below) != 0 || (is_element && holds(row, begin, item));
    }
    while (const std::uint32_t taken = __ballot_sync(team.members, is_taken)) {
      const std::uint32_t next = static_cast<std::uint32_t>(__ffs(static_cast<int>(taken))) - 1 - team.first;
      if (team.lane == next) {
        item = job.draw(number, user, k, {excluded, call.excluded_count, row, call.distinct ? k : 0});
        row[k] = item;
        is_taken = false;
      }
      __syncwarp(team.members);
      const std::int32_t drawn = __shfl_sync(team.members, item, static_cast<int>(team.first + next));
      if (drawn == core::no_item) {
        if (team.lane == next) job.problems.report(problem::no_items_left, number);
        return clear_row(job, row, begin + next + 1, team);
      }
      if (call.distinct && team.lane > next) is_taken |= item == drawn;
    }
  }
}

// A team per row.
template <typename Job>
__global__ void __launch_bounds__(max_block_size) replace_taken(const __grid_constant__ Job job) {
  const row_team team = row_team::make(job.team_bits);
  const std::uint64_t teams = grid_threads() >> job.team_bits;
  for (std::uint64_t row = thread_number() >> job.team_bits; row < job.row_count; row += teams) {
    const std::int32_t user = job.rows.user(row);
    if (user >= 0) replace_in_row(job, row, user, team);
  }
}

template <typename Job>
void launch_replacement(const Job& job, const launcher& on) {
  const bool has_taken = job.call.distinct || job.call.excluded_count != 0;
  if (!has_taken && !on.load_only) return;
  const std::uint64_t rows_per_block = on.block_size >> job.team_bits;
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
