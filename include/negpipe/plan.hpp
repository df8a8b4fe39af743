// Turns options into plans: computes counts and keys, and checks for overflow.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/training.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/item_weights.hpp"

namespace negpipe {

using core::evaluation_plan;
using core::training_plan;
using padding_policy = core::padding;
using core::batch_layout;

/// Names of the padding policies in options, files and messages, in the order of the enum.
inline constexpr std::initializer_list<std::pair<padding_policy, const char*>> padding_names{
    {padding_policy::resample, "resample"}, {padding_policy::mask, "mask"}, {padding_policy::drop, "drop"}};

/// Names of the layouts in options, files and messages, in the order of the enum.
inline constexpr std::initializer_list<std::pair<batch_layout, const char*>> layout_names{
    {batch_layout::pointwise, "pointwise"}, {batch_layout::pairwise, "pairwise"}};

struct training_options {
  std::uint64_t seed = 0;
  std::uint32_t negatives = 4;          ///< K per positive
  std::uint32_t epochs_per_cycle = 1;
  std::uint64_t batch_size = 65'536;    ///< points, or rows of the pairwise layout
  padding_policy padding = padding_policy::resample;
  batch_layout layout = batch_layout::pointwise;
};

/// What to do with users who have fewer than E distinct negatives left.
enum class infeasible_policy : std::uint8_t {
  error,  ///< refuse the plan
  skip,   ///< write zeros instead of their rows; metrics ignore them
  fewer,  ///< write all items that they have left, then repeat them with duplicate_mask 1
};

struct evaluation_options {
  std::uint32_t negatives = 999;        ///< E per user
  std::uint64_t batch_size = 160'000;   ///< a multiple of negatives + 1
  bool mlperf = false;                  ///< negatives with replacement, the held-out item allowed
  infeasible_policy infeasible = infeasible_policy::skip;
  heldout_set set = heldout_set::test;  ///< the held-out items that are evaluated
  item_weights weights = {};            ///< of the negatives; default: uniform
  /// Of a shard: number of its first user in the whole dataset. Its rows, user numbers included, are then those of the
  /// whole dataset.
  std::int32_t first_user = 0;
};

/// Plans training. Throws option_error for a count of zero, more points, rows or negatives in a cycle than
/// core::permutation::max_size, or padding that leaves no batch.
training_plan plan_training(const dataset& data, const training_options& options);
/// Plans training for a dataset with these counts, wherever its arrays are.
training_plan plan_training(std::uint64_t positive_count, std::int32_t item_count, const training_options& options);

/// Plans evaluation. The tables of options.weights are not in the plan: set evaluation_plan::weights, as sampler does.
/// - Throws option_error if the batch size is not a multiple of negatives + 1, or there is not one weight per item.
/// - Users without a held-out item are skipped.
/// - Throws infeasible_error for a user with several held-out items, for a dataset without the set, if no user can be
///   evaluated, and (infeasible_policy::error), naming users and how many items each has left, if a user has fewer than
///   E items left, or, with mlperf, none. Items of weight 0 do not count.
evaluation_plan plan_evaluation(const dataset& data, const evaluation_options& options, std::uint64_t seed);
/// Plans evaluation for a dataset with these row offsets, [user_count + 1]. Throws option_error for weights.
evaluation_plan plan_evaluation(std::span<const std::int64_t> user_offsets, std::int32_t item_count,
                                const evaluation_options& options, std::uint64_t seed);

/// Returns the users whose rows are left out of the evaluation data, ascending.
std::vector<std::int32_t> skipped_users(const dataset& data, const evaluation_options& options);

/// Returns whether evaluation needs another dataset than the one that is trained on, see evaluation_rows().
bool needs_evaluation_rows(const dataset& data, const evaluation_options& options);
/// Returns the dataset from which evaluation rows are made: its test items are the held-out items that are evaluated,
/// its positives are the items that evaluation negatives exclude. Those are the user's training positives, and, unless
/// mlperf is set, the items of the user's other held-out set. Returns data itself if it is that dataset.
dataset evaluation_rows(const dataset& data, const evaluation_options& options);

/// Returns the key of a plan's cycle, for any 32-bit cycle. Pure function.
core::cycle_key make_cycle_key(const training_plan& plan, std::uint32_t cycle);

/// Throws option_error unless count > 0 and cycles first .. first + count - 1 fit 32 bits.
void check_cycles(std::uint64_t first, std::uint64_t count);

/// Returns a random 64-bit seed from the operating system. Throws io_error if it provides none.
std::uint64_t random_seed();

/// Assignment of batches to files: file f of R holds batches [f * per, min(n, (f + 1) * per)).
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
