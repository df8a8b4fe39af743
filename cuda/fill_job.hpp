// Shared by the kernels that fill training columns: the job, and the general code for one point.
#pragma once

#include <cstdint>

#include "curand_source.hpp"
#include "device_dataset.hpp"
#include "fill_points.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::cuda {

/// The key and the range as launch parameters.
struct fixed_cursor {
  cursor_state state;

  __device__ const core::cycle_key& key() const { return state.key; }
  __device__ const fill_range& range() const { return state.range; }
};

/// The key and the range, read when the kernel runs: one state per row of the grid.
struct replayed_cursor {
  const cursor_state* states;

  __device__ const core::cycle_key& key() const { return states[blockIdx.y].key; }
  __device__ const fill_range& range() const { return states[blockIdx.y].range; }
};

__device__ inline void store_item(const core::training_pointers& columns, std::uint64_t position, std::int32_t item) {
  if (columns.item_width == item_type::uint16) {
    static_cast<std::uint16_t*>(columns.items)[position] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(columns.items)[position] = item;
  }
}

/// Writes one point of the range with the core's own function: any plan, any padding.
template <typename Cursor>
struct point_writer {
  core::training_plan plan;
  core::positives_view positives;
  Cursor cursor;

  __device__ void write(std::uint64_t position) const {
    const core::training_pointers& columns = cursor.range().columns;
    const core::point made =
        core::point_at(plan, cursor.key(), positives, position, curand_source{plan.seed});
    columns.users[position] = index(made.user);
    store_item(columns, position, index(made.item));
    columns.labels[position] = made.label;
    if (columns.valid != nullptr) columns.valid[position] = made.valid;
  }
};

}  // namespace negpipe::cuda
