// What the kernels that fill training columns share: the job, and the general way to make one point.
#pragma once

#include <cstdint>

#include "curand_source.hpp"
#include "device_dataset.hpp"
#include "fill_points.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::cuda {

/// The key and the range, known when the kernel is launched.
struct fixed_cursor {
  cursor_state state;

  NEGPIPE_HD const core::cycle_key& key() const { return state.key; }
  NEGPIPE_HD const fill_range& range() const { return state.range; }
};

/// The same, read when the kernel runs.
struct replayed_cursor {
  const cursor_state* state;

  NEGPIPE_HD const core::cycle_key& key() const { return state->key; }
  NEGPIPE_HD const fill_range& range() const { return state->range; }
};

NEGPIPE_HD inline void store_item(const training_columns& columns, std::uint64_t place, std::int32_t item) {
  if (columns.item_width == item_type::uint16) {
    static_cast<std::uint16_t*>(columns.items)[place] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(columns.items)[place] = item;
  }
}

/// Writes one point of the range by the core's own function: any plan, any padding.
template <typename Cursor>
struct point_writer {
  core::training_plan plan;
  core::positives_view positives;
  Cursor cursor;

  /// The point at a position; nothing past the cycle's end.
  NEGPIPE_HD void write(std::uint64_t position) const {
    if (position >= plan.padded_count()) return;
    const training_columns& columns = cursor.range().columns;
    const core::point made =
        core::point_at(plan, cursor.key(), positives, position, curand_source{plan.seed});
    columns.users[position] = index(made.user);
    store_item(columns, position, index(made.item));
    columns.labels[position] = made.label;
    if (columns.valid != nullptr) columns.valid[position] = made.valid;
  }

  /// The place-th point of the range.
  NEGPIPE_HD void operator()(std::uint64_t place) const { write(cursor.range().first + place); }
};

/// Writes count points by Thrust, one a thread: for plans too small for the network of neighbour_plan.
template <typename Cursor>
void fill_general_async(const point_writer<Cursor>& writer, std::uint64_t count, cudaStream_t stream);

}  // namespace negpipe::cuda
