// The loops that fill columns, compiled once for every instruction set that pays and chosen when a backend is made.
//
// core/training.hpp and core/evaluation.hpp say what every value is, one at a time. These kernels find the same
// values a block at a time, because one point alone spends most of its time waiting: for the ten rounds of Philox,
// for the rounds of the permutation, and for two or three reads that miss the caches. Over a block the rounds run
// in vector lanes and the reads overlap. Tests hold every kernel to the core, byte by byte.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "negpipe/core/columns.hpp"
#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/training.hpp"

namespace negpipe {

/// The kernels of one instruction set. Pure functions, safe on any number of threads; they allocate nothing.
struct kernel_set {
  std::string_view name;  ///< "portable", "x86-64-v3", "x86-64-v4"

  /// Writes the points at positions [first, first + count) to columns [0, count). The positions must lie below
  /// plan.point_count (no padding), the cycle's permutation must be a network, and plan.positive_count at least 2.
  void (*fill_points)(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                      std::uint64_t first, std::uint64_t count, const core::training_pointers& out);

  /// Writes the negatives of one user to items [0, plan.negatives).
  void (*fill_negatives)(const core::evaluation_plan& plan, const core::positives_view& view, user_id user,
                         std::int32_t* items);
};

/// Runs everywhere.
extern const kernel_set portable_kernels;
/// Defined in builds for x86-64; runs where AVX2 and what came with it is supported.
extern const kernel_set x86_64_v3_kernels;
/// Likewise for AVX-512 (F, BW, CD, DQ, VL).
extern const kernel_set x86_64_v4_kernels;

/// The sets that this machine can run, best first; the last one is portable.
std::span<const kernel_set> supported_kernels();

}  // namespace negpipe
