// How the columns of one fill are made piece by piece: their widths, and the kernels of a piece.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device_part.hpp"
#include "fill_eval.hpp"
#include "fill_pairs.hpp"
#include "fill_points.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe::cuda {

/// column[c] of a piece's fill points to column c in device memory, in the order of widths().
using piece_columns = std::span<std::byte* const>;

/// Training points from position first on.
struct training_fill {
  const core::training_plan& plan;
  const core::cycle_key& key;
  std::uint64_t first;
  item_type items;
  bool with_valid;
  unsigned block_size;

  /// Pieces begin at multiples of it, so that they do not cut quads.
  static std::uint64_t unit() { return 4; }
  std::vector<std::uint64_t> widths() const {
    std::vector<std::uint64_t> bytes{4, item_bytes(items), 1};
    if (with_valid) bytes.push_back(1);
    return bytes;
  }
  void operator()(const device_part& part, std::uint64_t begin, std::uint64_t count, piece_columns column,
                  cudaStream_t stream) const {
    const core::training_pointers device{reinterpret_cast<std::int32_t*>(column[0]), column[1], items,
                                         reinterpret_cast<std::int8_t*>(column[2]),
                                         with_valid ? reinterpret_cast<std::int8_t*>(column[3]) : nullptr};
    fill_training_async(part.on_device(plan), key, part.view(), first + begin, count, device, {stream, block_size});
  }
};

/// Rows of the pairwise layout from row first on. A value of the column of negatives is what it holds for one row.
struct pairs_fill {
  const core::training_plan& plan;
  const core::cycle_key& key;
  std::uint64_t first;
  item_type items;
  bool with_valid;
  unsigned block_size;

  static std::uint64_t unit() { return 1; }
  std::vector<std::uint64_t> widths() const {
    std::vector<std::uint64_t> bytes{4, item_bytes(items)};
    if (plan.negatives != 0) bytes.push_back(plan.negatives * item_bytes(items));
    if (with_valid) bytes.push_back(1);
    return bytes;
  }
  void operator()(const device_part& part, std::uint64_t begin, std::uint64_t count, piece_columns column,
                  cudaStream_t stream) const {
    const core::pair_pointers device{reinterpret_cast<std::int32_t*>(column[0]), column[1],
                                     plan.negatives == 0 ? nullptr : column[2], items,
                                     with_valid ? reinterpret_cast<std::int8_t*>(column.back()) : nullptr};
    fill_pairs_async(part.on_device(plan), key, part.view(), first + begin, count, device, {stream, block_size});
  }
};

/// Evaluation rows from row first on, value by value; pieces are whole rows.
struct evaluation_fill {
  const core::evaluation_plan& plan;
  std::uint64_t first;
  item_type items;
  unsigned block_size;

  std::uint64_t unit() const { return plan.row_length(); }
  std::vector<std::uint64_t> widths() const { return {4, item_bytes(items), 1}; }
  void operator()(const device_part& part, std::uint64_t begin, std::uint64_t count, piece_columns column,
                  cudaStream_t stream) const {
    const core::evaluation_pointers device{reinterpret_cast<std::int32_t*>(column[0]), column[1], items,
                                           reinterpret_cast<std::int8_t*>(column[2])};
    const std::uint64_t length = plan.row_length();
    const std::uint64_t rows = count / length;
    device_buffer<std::byte> workspace(evaluation_workspace_bytes(plan, part.view(), rows), part.memory(), stream);
    fill_evaluation_async(part.on_device(plan), part.view(), first + begin / length, rows, device, workspace.data(),
                          {stream, block_size});
  }
};

/// Returns the host columns of a fill. values: their addresses, in the order of widths(); further ones are ignored.
template <typename Fill>
std::vector<host_column> host_columns_of(const Fill& fill, std::span<void* const> values) {
  std::vector<host_column> columns;
  for (const std::uint64_t bytes : fill.widths()) columns.push_back({values[columns.size()], bytes});
  return columns;
}

}  // namespace negpipe::cuda
