// Training points in device memory, byte for byte equal to core::point_at.
#pragma once

#include <cstdint>

#include "device_dataset.hpp"
#include "launch.hpp"
#include "negpipe/core/batch_cursor.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::cuda {

/// How a whole quad is stored: value by value, or four at once if all columns are aligned for that.
enum class store_width : std::uint32_t { single, quads_of_uint16, quads_of_int32 };

/// Columns in device memory and their alignment.
struct target_columns {
  static constexpr std::uint32_t no_phase = 4;

  core::training_pointers columns;
  std::uint32_t phase;  ///< values that each column begins past a multiple of four; no_phase if they differ

  static target_columns make(const core::training_pointers& columns);

  /// Returns the same columns from value number count on.
  NEGPIPE_HD target_columns skip(std::uint64_t count) const;
};

/// A range of positions as blocks of four ("quads"), counted over the whole cycle, and its columns.
struct fill_range {
  std::uint64_t begin;        ///< quad of the first position
  std::uint64_t first;        ///< position of the columns' first value
  std::uint64_t whole_begin;  ///< first quad that is wholly in the range and has no padding
  std::uint64_t count;
  std::uint64_t whole_count;
  std::uint64_t end;         ///< one past the quad of the last position
  core::training_pointers columns;  ///< moved back by first values: position p goes to index p
  store_width stores;

  static NEGPIPE_HD fill_range make(const core::training_plan& plan, std::uint64_t first, std::uint64_t count,
                                    const target_columns& target);
};

/// The state of a replay's batch, derived from the cursor; in device memory.
struct cursor_state {
  core::cycle_key key;
  fill_range range;
};

/// Queues the points at positions [first, first + count) of the key's cycle.
/// - columns: device memory, each with room for count values and aligned to its type. Fastest if every column is
///   aligned to 16 bytes and first is a multiple of 4.
/// - first + count <= plan.padded_count().
/// - on.block_size: a multiple of 32, at most max_block_size.
/// - Does not allocate or wait; may be captured. Throws backend_error.
void fill_training_async(const core::training_plan& plan, const core::cycle_key& key, const device_view& data,
                         std::uint64_t first, std::uint64_t count, const core::training_pointers& columns,
                         const launcher& on);

/// Queues the next batches of a cursor in device memory, and advances the cursor past them. Otherwise as above.
/// - Batch k goes to values [k * batch_size, (k + 1) * batch_size) of the columns.
/// - states: [batch_count], each set to initial_state(plan) once. Work that reads them must not overlap.
void fill_next_async(const core::training_plan& plan, batch_cursor* cursor, cursor_state* states, unsigned batch_count,
                     const device_view& data, const core::training_pointers& columns, const launcher& on);

/// Returns a state with the fields that are the same for all batches.
cursor_state initial_state(const core::training_plan& plan);

NEGPIPE_HD inline target_columns target_columns::skip(std::uint64_t count) const {
  const std::uint64_t width = item_bytes(columns.item_width);
  return {{columns.users + count, static_cast<std::byte*>(columns.items) + count * width, columns.item_width,
           columns.labels + count, columns.valid == nullptr ? nullptr : columns.valid + count},
          phase == no_phase ? no_phase : static_cast<std::uint32_t>(phase + count) % 4};
}

NEGPIPE_HD inline fill_range fill_range::make(const core::training_plan& plan, std::uint64_t first, std::uint64_t count,
                                              const target_columns& target) {
  fill_range range{};
  range.first = first;
  range.count = count;
  range.begin = first / 4;
  range.end = core::ceil_div(first + count, 4);
  range.whole_begin = core::ceil_div(first, 4);
  const std::uint64_t plain_end = plan.point_count < plan.padded_count() ? plan.point_count : plan.padded_count();
  const std::uint64_t whole_end = (first + count < plain_end ? first + count : plain_end) / 4;
  if (whole_end > range.whole_begin) range.whole_count = whole_end - range.whole_begin;

  const core::training_pointers& to = target.columns;
  const auto moved_back = [&](auto* column, std::uint64_t value_bytes) {
    return column == nullptr ? column
                             : reinterpret_cast<decltype(column)>(reinterpret_cast<std::uintptr_t>(column) -
                                                                  first * value_bytes);
  };
  range.columns = {moved_back(to.users, 4), moved_back(to.items, item_bytes(to.item_width)), to.item_width,
                   moved_back(to.labels, 1), moved_back(to.valid, 1)};
  range.stores = target.phase != first % 4              ? store_width::single
                 : to.item_width == item_type::uint16 ? store_width::quads_of_uint16
                                                      : store_width::quads_of_int32;
  return range;
}

}  // namespace negpipe::cuda
