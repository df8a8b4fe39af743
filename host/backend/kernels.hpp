// The loops that fill columns, compiled for several instruction sets and chosen when a backend is made.
//
// core/training.hpp and core/evaluation.hpp define every value, one at a time. These kernels compute the same values in
// blocks, because a single point mostly waits: for the ten rounds of Philox, for the rounds of the permutation, and for
// two or three cache misses. Over a block, the rounds run in vector lanes and the reads overlap. Tests compare every
// kernel with core, byte by byte.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "negpipe/core/columns.hpp"
#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/pairwise.hpp"
#include "negpipe/core/training.hpp"
#include "negpipe/core/weights.hpp"

namespace negpipe {

/// The constants of a call of free draws: core::free_stream::for_users(at).
struct free_job {
  std::uint64_t seed;
  std::uint32_t at;
  std::uint32_t negatives;              ///< K per user, at least 1
  std::uint64_t first_element;          ///< number of the first user's first element
  core::bounded32 item_draw;            ///< draws from all items
  const core::weighted_draw* weights;   ///< null: uniform
};

/// The kernels of one instruction set. Pure functions, thread-safe, without allocation.
struct kernel_set {
  std::string_view name;  ///< "portable", "x86-64-v3", "x86-64-v4"

  /// Writes the points at positions [first, first + count) to columns [0, count). Requires positions below
  /// plan.point_count (no padding), a cycle's permutation that is a network, and plan.positive_count >= 2.
  void (*fill_points)(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                      std::uint64_t first, std::uint64_t count, const core::training_pointers& out);

  /// Writes the rows at positions [first, first + count) of the pairwise layout to rows [0, count) of the columns. The
  /// same conditions hold.
  void (*fill_pairs)(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                     std::uint64_t first, std::uint64_t count, const core::pair_pointers& out);

  /// Writes the negatives of one user to items [0, plan.negatives). Distinct negatives by weight are the exception: the
  /// draws are written as with replacement, and the caller repairs the row (row_repair.hpp).
  void (*fill_negatives)(const core::evaluation_plan& plan, const core::positives_view& view, user_id user,
                         std::int32_t* items);

  /// Writes elements [begin, end) of the negatives of users, K each, without taken items, to out[begin .. end).
  /// Users are below view.user_count; the elements of negative ones are core::no_item.
  void (*fill_free)(const free_job& job, const core::positives_view& view, const std::int32_t* users,
                    std::uint64_t begin, std::uint64_t end, std::int32_t* out);

  /// Sets found[i] to whether items[i] is a positive of users[i]; 0 for negative ones. Others are in range.
  void (*contains)(const core::positives_view& view, const std::int32_t* users, const std::int32_t* items,
                   std::uint64_t count, std::uint8_t* found);
};

/// Runs on every machine.
extern const kernel_set portable_kernels;
/// Defined in x86-64 builds; needs AVX2 and the rest of x86-64-v3.
extern const kernel_set x86_64_v3_kernels;
/// Defined in x86-64 builds; needs AVX-512 (F, BW, CD, DQ, VL).
extern const kernel_set x86_64_v4_kernels;

/// Returns the sets that this machine can run, best first; the last one is portable.
std::span<const kernel_set> supported_kernels();

}  // namespace negpipe
