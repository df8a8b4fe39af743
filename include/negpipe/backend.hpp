// Backends fill columns with points. All backends write the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/batch.hpp"
#include "negpipe/fill_queue.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"

namespace negpipe {

/// Fills columns in host memory. Thread-safe. Deterministic: results do not depend on threads, block sizes or the order
/// of calls.
class backend {
 public:
  virtual ~backend() = default;

  /// Returns a name for messages, such as "cpu (x86-64-v3, 2 threads)".
  virtual std::string description() const = 0;

  /// Writes the points at positions [first, first + count) of a cycle.
  /// - The plan's layout is pointwise; first + count <= plan.padded_count().
  /// - Throws option_error for a range or columns that do not fit, backend_error if the device fails.
  virtual void fill_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first,
                             std::uint64_t count, const training_columns& out) const = 0;

  /// Writes the rows at positions [first, first + count) of a cycle of the pairwise layout. The same conditions hold;
  /// negatives receives count * plan.negatives values.
  virtual void fill_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first,
                          std::uint64_t count, const pair_columns& out) const = 0;

  /// Writes evaluation rows [first_row, first_row + row_count), plan.row_length() values each: the held-out item, then
  /// E negatives; users ascend. Rows past the last user are zeros; their mask is computed as for any row.
  /// - first_row + row_count <= plan.padded_count() / plan.row_length(); columns hold row_count * plan.row_length()
  ///   values.
  /// - Throws option_error for a range or columns that do not fit, backend_error if the device fails.
  virtual void fill_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                               const evaluation_columns& out) const = 0;

  /// Returns memory for columns, which fills write to fastest: page-locked for CUDA, if the system has enough of it.
  /// May outlive the backend. Throws std::bad_alloc.
  virtual std::shared_ptr<std::byte[]> allocate_host(std::size_t bytes) const {
    return std::shared_ptr<std::byte[]>(new std::byte[bytes]);
  }

  /// Returns a queue of fills in the background; null if the backend works in calling threads only. The backend must
  /// outlive it. With several devices, each queue uses one, in turn. Throws backend_error, device_memory_error.
  virtual std::unique_ptr<fill_queue> make_queue() const { return nullptr; }

  /// Returns the same backend with another number of threads per call, sharing the index; null if the backend works in
  /// the calling threads only.
  virtual std::unique_ptr<backend> with_threads(unsigned) const { return nullptr; }
};

/// Makes the CPU backend: a loop over blocks of positions, vectorised for the machine that runs it.
/// - threads: 0 means one per core; 1 works in the calling thread. Of concurrent calls, one uses the thread pool and
///   the others work in their calling threads.
/// - Keeps a copy of the index.
/// - Throws option_error for more threads than max_threads, io_error if the system cannot start them.
std::unique_ptr<backend> make_cpu_backend(const positives_index& index, unsigned threads = 0);

/// A kind of backend, and whether it can be made here.
struct backend_status {
  std::string_view name;   ///< "cpu", "cuda"
  bool available;
  std::string reason;      ///< why it is unavailable, and what to do; else empty
};

/// Returns all kinds that this build knows, best first.
std::vector<backend_status> list_backends();

/// Makes a backend by name.
/// - device: "cpu", "cuda", "cuda:1", "cuda:all", or "auto" for the best available one.
/// - weights: of the index's dataset; the draws that plans of fills may have as their weights. A CUDA backend copies
///   them to its devices and keeps copies here. The CPU backend takes plans with any weights.
/// - Throws option_error for an unknown name, backend_error with the reason for an unavailable one.
std::unique_ptr<backend> make_backend(std::string_view device, const positives_index& index, unsigned threads = 0,
                                      const std::vector<dataset_weights>& weights = {});

}  // namespace negpipe
