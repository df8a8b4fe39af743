// Draws of a block that their first candidate does not settle. Lists in shared memory collect them, so that all lanes
// of its warps take part, where only a few would if every thread settled its own draws.
#pragma once

#include <cstdint>

#include "bits.hpp"
#include "curand_source.hpp"
#include "launch.hpp"
#include "membership.hpp"
#include "negpipe/core/draw.hpp"

namespace negpipe::cuda {

/// A list in shared memory that the threads of the block append to.
struct shared_list {
  std::uint16_t value[4 * max_block_size];
  std::uint32_t count;

  __device__ void append(std::uint32_t added) { value[atomicAdd(&count, 1U)] = static_cast<std::uint16_t>(added); }
  /// Appends base plus the index of each set bit of a mask, in no particular order.
  __device__ void append_bits(std::uint32_t mask, std::uint32_t base) {
    if (mask == 0) return;
    std::uint16_t* next = value + atomicAdd(&count, count_ones(mask));
    do {
      const std::uint32_t bit = highest_bit(mask);
      *next++ = static_cast<std::uint16_t>(base + bit);
      mask = lowest_bits(mask, bit);
    } while (mask != 0);
  }
};

/// A block's draws: slot s is draw `first + s` of a stream.
/// - Tile: in shared memory; has lists `open` and `still_open`, the slots whose draw is open after the first and after
///   the second candidate, and user(slot), item(slot), set_item(slot, item). has_item(slot) is false if the first word
///   was rejected, which may only be if the slot is open.
template <typename Position, typename Form, typename ItemDraw, typename Tile>
struct open_draws {
  /// Lanes that make attempts of one draw concurrently.
  static constexpr std::uint32_t team = 4;

  const positives_of<Form>& positives;
  const ItemDraw& item_draw;
  const scheduled_source& source;
  core::draw_stream stream;
  Position first;
  Tile& tile;

  /// Sets the items of all open slots. Must be called by the whole block, after a barrier; ends with one.
  __device__ void settle_all() const {
    for (std::uint32_t k = threadIdx.x; k < tile.open.count; k += blockDim.x) settle(tile.open.value[k]);
    __syncthreads();
    for (std::uint32_t k = threadIdx.x; k < team * tile.still_open.count; k += blockDim.x) {
      settle_in_team(tile.still_open.value[k / team]);
    }
    __syncthreads();
  }

 private:
  // Checks a doubtful first candidate exactly, and tries the second if it is a positive.
  __device__ void settle(std::uint32_t slot) const {
    if (tile.has_item(slot) && !positives.form.confirms(tile.user(slot), tile.item(slot))) return;
    std::int32_t item = 0;
    if (try_again(slot, 1, item)) {
      tile.set_item(slot, item);
    } else {
      tile.still_open.append(slot);
    }
  }

  // The remaining draws belong to users with many positives and take several attempts. A team makes several at once, so
  // that the block waits for memory less often. Must be called by whole teams.
  __device__ void settle_in_team(std::uint32_t slot) const {
    const std::uint32_t lane = threadIdx.x % team;
    const std::uint32_t members = ((1U << team) - 1) << (threadIdx.x % 32 - lane);
    for (std::uint32_t attempt = 2; attempt < core::max_draw_attempts; attempt += team) {
      std::int32_t item = 0;
      const bool is_drawn = attempt + lane < core::max_draw_attempts && try_again(slot, attempt + lane, item);
      const std::uint32_t drawn = __ballot_sync(members, is_drawn);
      if (drawn == 0) continue;
      const bool is_earliest = (drawn & ((1U << threadIdx.x % 32) - 1)) == 0;
      if (is_drawn && is_earliest) tile.set_item(slot, item);
      return;
    }
    if (lane == 0) {
      tile.set_item(slot, core::draw_outside(positives, tile.user(slot), item_draw, stream, first + slot, source));
    }
  }

  __device__ bool try_again(std::uint32_t slot, std::uint32_t attempt, std::int32_t& item) const {
    return core::try_candidate(positives, tile.user(slot), item_draw, stream, first + slot, attempt, source, item);
  }
};

}  // namespace negpipe::cuda
