// The main class: makes training and evaluation batches of a dataset on demand.
//
//     const negpipe::dataset data = negpipe::prepare("ratings.csv");
//     const negpipe::sampler sampler(data, {.seed = 42, .negatives = 4, .batch_size = 65'536});
//     negpipe::training_batch batch = sampler.make_batch();
//     for (std::uint64_t b = 0; b < sampler.batch_count(); ++b) sampler.fill(0, b, batch);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "negpipe/backend.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

/// What is sampled, and where. Only the fields up to evaluation affect the bytes.
struct sampler_options {
  std::uint64_t seed = 0;
  std::uint32_t negatives = 4;             ///< per training positive
  std::uint32_t epochs_per_cycle = 1;      ///< epochs shuffled together
  std::uint64_t batch_size = 65'536;       ///< points, or rows of the pairwise layout
  padding_policy padding = padding_policy::resample;
  batch_layout layout = batch_layout::pointwise;
  std::optional<evaluation_options> evaluation = {};  ///< unset: no evaluation batches
  item_weights weights = {};               ///< of training negatives; default: uniform
  std::string device = "auto";             ///< "auto" (CUDA if available), "cpu", "cuda", "cuda:1", "cuda:all"
  unsigned threads = 0;                    ///< for one fill on the CPU; 0 means one per core
  std::uint64_t bitset_budget = default_bitset_budget_bytes;  ///< bytes; see positives_index
};

/// Makes training batches, pointwise or pairwise, and evaluation batches. Owns dataset, membership index, plans and
/// backend.
///
/// - Immutable and thread-safe; copies are cheap and share everything.
/// - Results depend on dataset, options and arguments only, not on device, threads or the order of calls.
/// - Columns are host memory on every device; see batch.hpp.
/// - Fills throw option_error, naming the column, for columns that are too short, misaligned, too narrow for the items
///   or not host memory, for a missing mask column, and for columns of the other layout; option_error for a cycle or
///   batch that does not exist; backend_error if the device fails.
class sampler {
 public:
  /// Checks the plans, builds the index, then makes the backend.
  /// Throws option_error and infeasible_error (see plan.hpp), backend_error for an unavailable device, io_error if
  /// threads cannot be started, interrupted_error if control asks to stop.
  explicit sampler(const dataset& data, const sampler_options& options = {}, const run_control& control = {});

  /// Uses an existing index. bitset_budget is ignored. Evaluation must not need other rows than the index has
  /// (needs_evaluation_rows).
  explicit sampler(const positives_index& index, const sampler_options& options);
  /// Uses a backend made from the index too: device and threads are ignored as well. With weights in the options, the
  /// backend must be one of the CPU.
  sampler(const positives_index& index, std::shared_ptr<const backend> filler, const sampler_options& options = {});

  /// Returns the same sampler with another number of threads per fill; 0 means one per core. Callers that fill from
  /// several threads at once should use with_threads(1).
  sampler with_threads(unsigned threads) const;

  // ---- training

  /// Returns the number of batches in a cycle.
  std::uint64_t batch_count() const;
  /// Returns a batch of batch_size points with the columns that fill() needs.
  training_batch make_batch() const;
  /// Returns a batch of batch_size rows for the pairwise layout.
  pair_batch make_pair_batch() const;
  /// Returns memory for columns of the caller; see backend::allocate_host.
  std::shared_ptr<std::byte[]> allocate_host(std::size_t bytes) const;
  /// Returns a queue for fills with plan() in the background; null if the device is the CPU. The sampler, or a copy of
  /// it, must outlive the queue.
  std::unique_ptr<fill_queue> make_queue() const;

  /// Writes batch `batch` of a cycle in record order: the bytes of record `batch` that generate writes.
  /// cycle < 2^32; batch < batch_count(); columns hold batch_size values.
  void fill(std::uint64_t cycle, std::uint64_t batch, const training_columns& out) const;
  void fill(std::uint64_t cycle, std::uint64_t batch, training_batch& out) const { fill(cycle, batch, out.columns()); }

  /// The same for the pairwise layout: batch_size rows of a user, a positive item and K negatives.
  void fill(std::uint64_t cycle, std::uint64_t batch, const pair_columns& out) const;
  void fill(std::uint64_t cycle, std::uint64_t batch, pair_batch& out) const { fill(cycle, batch, out.columns()); }

  /// Writes the points at positions [first, first + count) of a cycle. With padding_policy::resample, records swap the
  /// first and the last batch; positions do not. first + count <= plan().padded_count().
  void fill_points(std::uint64_t cycle, std::uint64_t first, std::uint64_t count, const training_columns& out) const;
  /// The same for rows of the pairwise layout.
  void fill_rows(std::uint64_t cycle, std::uint64_t first, std::uint64_t count, const pair_columns& out) const;

  // ---- evaluation; all members throw option_error if the options have no evaluation

  /// Returns the number of batches of the evaluation data, which is the same in every cycle.
  std::uint64_t evaluation_batch_count() const;
  evaluation_batch make_evaluation_batch() const;
  /// Returns a queue for fills with evaluation_plan(); see make_queue.
  std::unique_ptr<fill_queue> make_evaluation_queue() const;
  /// Writes an evaluation batch: rows of one held-out item and its negatives, users ascending; rows past the last user
  /// are zeros. batch < evaluation_batch_count().
  void fill_evaluation(std::uint64_t batch, const evaluation_columns& out) const;
  void fill_evaluation(std::uint64_t batch, evaluation_batch& out) const { fill_evaluation(batch, out.columns()); }
  /// Writes evaluation rows [first, first + count), as far as there are batches.
  void fill_evaluation_rows(std::uint64_t first, std::uint64_t count, const evaluation_columns& out) const;

  // ---- components

  const sampler_options& options() const;
  const dataset& data() const;
  const training_plan& plan() const;
  bool has_evaluation() const;
  const negpipe::evaluation_plan& evaluation_plan() const;  ///< throws option_error without evaluation
  item_type item_width() const;                             ///< item type of make_batch()
  /// Returns the training positives of a user, ascending. Throws option_error for a user out of range.
  std::span<const std::int32_t> positives_of(std::int32_t user) const;

  /// Returns the device that fills, such as "cpu (x86-64-v4, 2 threads)" or "cuda (0: ...)".
  std::string device() const;
  /// Returns device() and, for "auto", why better devices were not chosen.
  std::string description() const;
  /// Returns the number of threads of one fill.
  unsigned threads() const;

 private:
  struct state;
  sampler(std::shared_ptr<const state> shared, std::shared_ptr<const backend> filler,
          std::shared_ptr<const backend> evaluation_filler, unsigned threads);
  void make_backends();

  std::shared_ptr<const state> shared_;
  std::shared_ptr<const backend> backend_;
  std::shared_ptr<const backend> evaluation_backend_;  // another one if evaluation needs rows of its own
  unsigned threads_;
};

}  // namespace negpipe
