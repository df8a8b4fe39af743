// Backends fill columns with points. Every backend writes the same bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/batch.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"

namespace negpipe {

/// Fills columns in host memory. All members may be called from several threads at once; results do not depend on
/// the number of threads, on block sizes or on the order of calls.
class backend {
 public:
  virtual ~backend() = default;

  /// Such as "cpu (x86-64-v3, 2 threads)".
  virtual std::string description() const = 0;

  /// Writes the points at positions [first, first + count) of a cycle. first + count <= plan.padded_count().
  /// Throws option_error for a range outside, backend_error when the device fails.
  virtual void fill_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first,
                             std::uint64_t count, const training_columns& out) const = 0;

  /// Writes evaluation rows [first_row, first_row + row_count), E + 1 values each: users ascending, the held-out
  /// item first; rows past the last user are zeros, their mask computed as for any row.
  /// first_row + row_count <= plan.padded_count() / plan.row_length(), and columns have room for row_count *
  /// plan.row_length() values. Throws option_error for a range outside, backend_error when the device fails.
  virtual void fill_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                               const evaluation_columns& out) const = 0;

  /// The same backend with another number of threads for one call, sharing the index; null where the calling threads
  /// do all of the host's work.
  virtual std::unique_ptr<backend> with_threads(unsigned) const { return nullptr; }
};

/// The reference: a loop over blocks of positions, vectorised for the machine it runs on. threads == 1 works in the
/// calling thread; 0 means one thread a core. Of calls that come at once, one is shared by all threads; the others work
/// in their calling threads. Keeps a copy of the index. Throws option_error for more threads than max_threads, io_error
/// when the system gives fewer.
std::unique_ptr<backend> make_cpu_backend(const positives_index& index, unsigned threads = 0);

/// What is known of a kind of backend before it is made.
struct backend_status {
  std::string_view name;   ///< "cpu", "cuda"
  bool available;
  std::string reason;      ///< why it is not available, and what to do; empty when it is
};

/// All kinds this build knows, best first.
std::vector<backend_status> list_backends();

/// Makes a backend by name: "auto" takes the best one that can be made, "cpu", "cuda", "cuda:1" or "cuda:all". Throws
/// option_error for an unknown name, backend_error with the reason for one that is not available.
std::unique_ptr<backend> make_backend(std::string_view device, const positives_index& index, unsigned threads = 0);

}  // namespace negpipe
