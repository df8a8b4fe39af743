// From options to plans: every count, every key, every overflow check.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/training.hpp"
#include "negpipe/dataset.hpp"

namespace negpipe {

using core::evaluation_plan;
using core::training_plan;
using padding_policy = core::padding;

struct training_options {
  std::uint64_t seed = 0;
  std::uint32_t negatives = 4;          ///< K a positive
  std::uint32_t epochs_per_cycle = 1;
  std::uint64_t batch_size = 65'536;    ///< points
  padding_policy padding = padding_policy::resample;
};

/// What to do with users who have fewer than E distinct negatives left.
enum class infeasible_policy : std::uint8_t {
  error,  ///< refuse the plan
  skip,   ///< write zeros in place of their rows, which count for nothing
};

struct evaluation_options {
  std::uint32_t negatives = 999;        ///< E a user
  std::uint64_t batch_size = 160'000;   ///< a multiple of negatives + 1
  bool mlperf = false;                  ///< negatives with replacement, the held-out item allowed
  infeasible_policy infeasible = infeasible_policy::skip;
};

/// Throws option_error: a count of zero, more points than core::permutation::max_size, a padding policy that
/// leaves no batch.
training_plan plan_training(const dataset& data, const training_options& options);
/// The same for a dataset of these counts, wherever its arrays are.
training_plan plan_training(std::uint64_t positive_count, std::int32_t item_count, const training_options& options);

/// Throws option_error when the batch size is not a multiple of negatives + 1; infeasible_error, naming users and what
/// each has left, when mlperf is not set and some user (infeasible_policy::error) or every user (skip) has fewer than E
/// distinct negatives.
evaluation_plan plan_evaluation(const dataset& data, const evaluation_options& options, std::uint64_t seed);
/// The same for a dataset with these row offsets, [user_count + 1].
evaluation_plan plan_evaluation(std::span<const std::int64_t> user_offsets, std::int32_t item_count,
                                const evaluation_options& options, std::uint64_t seed);

/// The users whose rows are left out of the evaluation data, ascending: none with mlperf.
std::vector<std::int32_t> skipped_users(const dataset& data, const evaluation_options& options);

/// The key of a cycle of a plan: its permutation. Any cycle of 32 bits; a pure function.
core::cycle_key make_cycle_key(const training_plan& plan, std::uint32_t cycle);

/// Throws option_error unless cycles first .. first + count - 1 fit the counter's 32 bits and count is positive.
void check_cycles(std::uint64_t first, std::uint64_t count);

/// A seed from the operating system: any of 2^64, another for each call. Throws io_error when there is none to be had.
std::uint64_t random_seed();

/// How batches lie in files: file f of R holds batches [f * per, min(n, (f + 1) * per)).
struct file_layout {
  std::uint64_t batch_count;
  std::uint32_t file_count;      ///< R, at least 1

  std::uint64_t batches_per_file() const { return core::ceil_div(batch_count, file_count); }
  std::uint64_t first_batch(std::uint32_t file) const {
    const std::uint64_t first = file * batches_per_file();
    return first < batch_count ? first : batch_count;
  }
  std::uint64_t batches_in(std::uint32_t file) const { return first_batch(file + 1) - first_batch(file); }
};

}  // namespace negpipe
