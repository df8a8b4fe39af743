// Free draws in device memory, byte for byte equal to core::draw_free; exact membership and log_q of pairs.
#pragma once

#include <cstdint>

#include "device_dataset.hpp"
#include "id_values.hpp"
#include "launch.hpp"
#include "negpipe/core/weights.hpp"
#include "problems.hpp"

namespace negpipe::cuda {

/// What all calls of a sampler share.
struct free_source {
  std::uint64_t seed;
  device_view data;
  core::weighted_draw weights;  ///< in device memory; uniform unless it is set
  problem_writer problems;
};

/// One call. Pointers are device memory, aligned to their types.
struct free_call {
  std::uint32_t negatives = 1;  ///< K, at least 1
  std::uint32_t at = 0;
  std::uint64_t offset = 0;
  const std::int64_t* device_at = nullptr;      ///< added to at, unless null
  const std::int64_t* device_offset = nullptr;  ///< added to offset, unless null
  bool distinct = false;
  const std::int32_t* excluded = nullptr;  ///< [row count, excluded_count]
  std::uint32_t excluded_count = 0;        ///< of a row
};

/// Pairs of users and items: pair (row, c) is user row and item row * columns + c, or item c if the rows share them.
struct id_pairs {
  id_values users;
  id_values items;
  bool is_shared;
  std::uint64_t row_count;
  std::uint64_t columns;  ///< at least 1
};

/// negpipe::draw_logs in device memory. items: null if uniform.
struct log_tables {
  const double* items;
  const double* users;
};

/// Queues [user_count, K] negatives. Does not allocate or wait; may be captured. Throws backend_error.
/// - Rows with an unknown user or item, and what is left of a row without items, get core::no_item and are reported.
/// - on.block_size: a multiple of 32, at most max_block_size.
void draw_free_async(const free_source& source, const free_call& call, const id_values& users,
                     std::uint64_t user_count, std::int32_t* out, const launcher& on);

/// Queues [K] items that a batch shares, drawn from all items. Otherwise as above.
void draw_shared_async(const free_source& source, const free_call& call, std::int32_t* out, const launcher& on);

/// Queues membership of pairs: found [row_count, columns]. Unknown numbers give 0 and are reported. Does not allocate
/// or wait; may be captured.
void find_positives_async(const free_source& source, const id_pairs& pairs, std::uint8_t* found, const launcher& on);

/// Queues log_q of pairs: values [row_count, columns]. Unknown numbers give what padding gives and are reported. Does
/// not allocate or wait; may be captured.
void log_q_async(const free_source& source, const log_tables& logs, const id_pairs& pairs, float* values,
                 const launcher& on);

}  // namespace negpipe::cuda
