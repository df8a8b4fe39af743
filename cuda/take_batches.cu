#include "take_batches.hpp"

#include "curand_source.hpp"

namespace negpipe::cuda {

namespace {

constexpr unsigned warp_size = 32;
constexpr unsigned max_warps = 8;

struct take_job {
  core::training_plan plan;
  scheduled_source source;
  target_columns target;
  batch_cursor* cursor;
  cursor_state* states;
  unsigned batch_count;
  unsigned key_blocks;  // Philox blocks that hold the round keys; 0 for a permutation small enough for a table
};

// Returns the cursor count batches later. A batch number past the end counts as the end of its cycle. Subtracts instead
// of dividing, which takes a hundred instructions: count exceeds a cycle's batches only in tiny cycles.
__device__ batch_cursor advanced(batch_cursor at, std::uint64_t count, std::uint64_t batches_per_cycle) {
  if (at.batch >= batches_per_cycle) at = {at.cycle + 1, 0};
  for (at.batch += count; at.batch >= batches_per_cycle; at.batch -= batches_per_cycle) ++at.cycle;
  return at;
}

// One lane per block of round keys, or per partner of a small permutation.
__device__ void write_key(const take_job& job, std::uint32_t cycle, unsigned lane, core::permutation& order) {
  if (lane < job.key_blocks) {
    const auto block = job.source(core::permutation::round_key_counter(core::tag::round_keys, cycle, 0, lane));
    reinterpret_cast<uint4*>(order.word)[lane] = make_uint4(block.word[0], block.word[1], block.word[2], block.word[3]);
  }
  if (job.key_blocks != 0) return;
  for (std::uint32_t i = 1 + lane; i < job.plan.point_count; i += warp_size) {
    const std::uint32_t partner =
        core::permutation::draw_partner(i, job.source, core::tag::round_keys, cycle, 0);
    reinterpret_cast<std::uint8_t*>(order.word)[i] = static_cast<std::uint8_t>(partner);
  }
}

// One block, one warp per batch.
__global__ void take_batches(const __grid_constant__ take_job job) {
  const batch_cursor begin = *job.cursor;
  __syncthreads();  // every thread has read the cursor
  if (threadIdx.x == 0) *job.cursor = advanced(begin, job.batch_count, job.plan.batch_count);
  const unsigned lane = threadIdx.x % warp_size;
  for (unsigned k = threadIdx.x / warp_size; k < job.batch_count; k += blockDim.x / warp_size) {
    const batch_cursor at = advanced(begin, k, job.plan.batch_count);
    cursor_state& state = job.states[k];
    write_key(job, at.cycle, lane, state.key.order);
    if (lane != 0) continue;
    state.key.cycle = at.cycle;
    state.range = fill_range::make(job.plan, job.plan.first_position(at.batch), job.plan.batch_size,
                                   job.target.skip(k * job.plan.batch_size));
  }
}

}  // namespace

void launch_take_batches(const core::training_plan& plan, batch_cursor* cursor, cursor_state* states,
                         unsigned batch_count, const core::training_pointers& columns, const launcher& on) {
  const bool is_network = plan.point_count > core::permutation::small_size;
  const take_job job{plan, scheduled_source(plan.seed), target_columns::make(columns), cursor, states, batch_count,
                     is_network ? static_cast<unsigned>(core::permutation::rounds_for(plan.point_count)) / 4 : 0};
  launcher one_block = on;
  one_block.block_size = warp_size * std::min(batch_count, max_warps);
  one_block("launch of take_batches", take_batches, 1, job);
}

}  // namespace negpipe::cuda
