// The entry object: batches of training points and evaluation rows of one dataset, made on demand.
//
//     const negpipe::dataset data = negpipe::prepare("ratings.csv");
//     const negpipe::sampler sampler(data, {.seed = 42, .negatives = 4, .batch_size = 65'536});
//     negpipe::training_batch batch = sampler.make_batch();
//     for (std::uint64_t b = 0; b < sampler.batch_count(); ++b) sampler.fill(0, b, batch);
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "negpipe/backend.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

/// What is sampled, and where. Only the first six decide the bytes.
struct sampler_options {
  std::uint64_t seed = 0;
  std::uint32_t negatives = 4;             ///< per training positive
  std::uint32_t epochs_per_cycle = 1;      ///< epochs that are shuffled together
  std::uint64_t batch_size = 65'536;       ///< points
  padding_policy padding = padding_policy::resample;
  std::optional<evaluation_options> evaluation = {};  ///< absent: no evaluation batches
  std::string device = "auto";             ///< "auto" (CUDA if there is a device), "cpu", "cuda", "cuda:1", "cuda:all"
  unsigned threads = 0;                    ///< for one fill on the CPU; 0 means one a core
  std::uint64_t bitset_budget = default_bitset_budget_bytes;  ///< bytes; see positives_index
};

/// Makes pointwise training batches and evaluation batches. Owns dataset, membership index, plans and backend.
///
/// Immutable. Copies are cheap and share everything. All members are const and may be called from any number of threads
/// at once. Results depend on dataset, options and arguments only: not on device, threads or the order of calls.
///
/// Columns are host memory on every device; see batch.hpp. Each fill throws option_error, naming the column, for
/// columns that are too short, misaligned, too narrow for the items, or not host memory, and for a missing mask column;
/// option_error for a cycle or batch that does not exist; backend_error when the device fails.
class sampler {
 public:
  /// Plans first, then builds the index, then makes the backend.
  /// Throws option_error and infeasible_error (see plan.hpp), backend_error for a device that is not there, io_error
  /// for threads that cannot be had, interrupted_error when control asks to stop.
  explicit sampler(const dataset& data, const sampler_options& options = {}, const run_control& control = {});

  /// From an index and a backend that exist already; device, threads and bitset_budget are ignored. The backend must
  /// have been made from the same index.
  sampler(const positives_index& index, std::shared_ptr<const backend> filler, const sampler_options& options = {});

  /// The same sampler with another number of threads for one fill (0: one a core). Callers that fill from several
  /// threads at once take one thread each: with_threads(1).
  sampler with_threads(unsigned threads) const;

  // ---- training

  /// Batches in a cycle.
  std::uint64_t batch_count() const;
  /// A batch of batch_size points with the columns that fill() needs.
  training_batch make_batch() const;

  /// Writes batch `batch` of a cycle in record order: the bytes of record `batch` that generate writes.
  /// cycle < 2^32; batch < batch_count(); columns hold batch_size values.
  void fill(std::uint64_t cycle, std::uint64_t batch, const training_columns& out) const;
  void fill(std::uint64_t cycle, std::uint64_t batch, training_batch& out) const { fill(cycle, batch, out.columns()); }

  /// Writes the points at positions [first, first + count) of a cycle: the order before the first and the last batch
  /// trade places (padding_policy::resample). first + count <= plan().padded_count().
  void fill_points(std::uint64_t cycle, std::uint64_t first, std::uint64_t count, const training_columns& out) const;

  // ---- evaluation; each throws option_error when the options have no evaluation

  /// Batches of the evaluation data, which is the same in every cycle.
  std::uint64_t evaluation_batch_count() const;
  evaluation_batch make_evaluation_batch() const;
  /// Writes evaluation batch `batch`: rows of one held-out item and its negatives, users ascending; rows past the last
  /// user are zeros. batch < evaluation_batch_count().
  void fill_evaluation(std::uint64_t batch, const evaluation_columns& out) const;
  void fill_evaluation(std::uint64_t batch, evaluation_batch& out) const { fill_evaluation(batch, out.columns()); }

  // ---- what it is made of

  const sampler_options& options() const;
  const dataset& data() const;
  const training_plan& plan() const;
  bool has_evaluation() const;
  const negpipe::evaluation_plan& evaluation_plan() const;  ///< throws option_error without evaluation
  item_type item_width() const;                             ///< of the batches that it makes
  /// The training positives of a user, ascending. Throws option_error for a number that is no user's.
  std::span<const std::int32_t> positives_of(std::int32_t user) const;

  /// The device that fills, such as "cpu (x86-64-v4, 2 threads)" or "cuda (0: ...)".
  std::string device() const;
  /// device(), and for "auto" why it is no other one.
  std::string description() const;
  /// Threads of one fill.
  unsigned threads() const;

 private:
  struct state;
  sampler(std::shared_ptr<const state> shared, std::shared_ptr<const backend> filler, unsigned threads);

  std::shared_ptr<const state> shared_;
  std::shared_ptr<const backend> backend_;
  unsigned threads_;
};

}  // namespace negpipe
