// Training points into device memory that the caller owns. Byte for byte core::point_at, whatever the range.
#pragma once

#include <cstdint>

#include "device_dataset.hpp"
#include "launch.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::cuda {

/// Where a replayable fill begins, read from device memory when it runs.
struct fill_cursor {
  std::uint64_t first;  ///< position within the cycle
  std::uint32_t cycle;
};

/// How a whole quad's values may be stored: one by one, or four at once where all columns are aligned for that.
enum class store_width : std::uint32_t { single, quads_of_uint16, quads_of_int32 };

/// A range of positions as blocks of four ("quads"), counted over the whole cycle, and where they go.
struct fill_range {
  std::uint64_t begin;        ///< quad of the first position
  std::uint64_t first;        ///< position of the columns' first value
  std::uint64_t whole_begin;  ///< quads that lie in the range as a whole and hold no padding
  std::uint64_t count;
  std::uint64_t whole_count;
  std::uint64_t end;         ///< past the quad of the last position
  training_columns columns;  ///< moved back by first values, so that position p goes to place p
  store_width stores;

  static NEGPIPE_HD fill_range make(const core::training_plan& plan, std::uint64_t first, std::uint64_t count,
                                    const training_columns& columns);
};

/// What a replayable fill derives from its cursor; scratch of the caller's, in device memory.
struct cursor_state {
  core::cycle_key key;
  fill_range range;
};

/// Writes the points at positions [first, first + count) of the key's cycle to columns in device memory, each with
/// room for count values and aligned to its type (columns aligned to 16 bytes, with first a multiple of 4, are
/// written fastest). first + count <= plan.padded_count(). block_size: threads, a multiple of 32, at most
/// max_block_size. Allocates nothing and waits for nothing; may be captured in a graph, best after a first call outside
/// of it, which loads the kernel. Throws backend_error.
void fill_training_async(const core::training_plan& plan, const core::cycle_key& key, const device_view& data,
                         std::uint64_t first, std::uint64_t count, const training_columns& columns, cudaStream_t stream,
                         unsigned block_size = default_block_size);

/// The same for a cursor that is read when the work runs: capture it once in a graph, then change the cursor and
/// replay. Positions past plan.padded_count() are not written. state is overwritten; a graph that is replayed while
/// it still runs needs a state of its own.
void fill_training_async(const core::training_plan& plan, const fill_cursor* cursor, cursor_state* state,
                         const device_view& data, std::uint64_t count, const training_columns& columns,
                         cudaStream_t stream, unsigned block_size = default_block_size);

NEGPIPE_HD inline fill_range fill_range::make(const core::training_plan& plan, std::uint64_t first, std::uint64_t count,
                                              const training_columns& columns) {
  fill_range range{};
  range.first = first;
  range.count = count;
  range.begin = first / 4;
  range.end = core::ceil_div(first + count, 4);
  range.whole_begin = core::ceil_div(first, 4);
  const std::uint64_t plain_end = plan.point_count < plan.padded_count() ? plan.point_count : plan.padded_count();
  const std::uint64_t whole_end = (first + count < plain_end ? first + count : plain_end) / 4;
  if (whole_end > range.whole_begin) range.whole_count = whole_end - range.whole_begin;

  const std::uint64_t width = item_bytes(columns.item_width);
  std::uintptr_t misaligned = 0;
  const auto moved_back = [&](auto* column, std::uint64_t value_bytes) {
    if (column == nullptr) return column;
    const std::uintptr_t at_zero = reinterpret_cast<std::uintptr_t>(column) - first * value_bytes;
    misaligned |= at_zero % (4 * value_bytes);
    return reinterpret_cast<decltype(column)>(at_zero);
  };
  range.columns = {moved_back(columns.users, 4), moved_back(columns.items, width), columns.item_width,
                   moved_back(columns.labels, 1), moved_back(columns.valid, 1)};
  range.stores = misaligned != 0                           ? store_width::single
                 : columns.item_width == item_type::uint16 ? store_width::quads_of_uint16
                                                           : store_width::quads_of_int32;
  return range;
}

}  // namespace negpipe::cuda
