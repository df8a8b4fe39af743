// Negatives for users that the caller names: for training loops that have batches of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "negpipe/dataset.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

struct negative_options {
  std::uint64_t seed = 0;
  item_weights weights;      ///< default: uniform
  unsigned threads = 0;      ///< 0: one per core
  std::uint64_t bitset_budget = default_bitset_budget_bytes;
};

/// Which draws a call makes. Two calls with the same `at` draw the same at the same elements.
struct draw_call {
  std::uint32_t negatives = 1;        ///< K per user, any number
  std::uint32_t at = 0;               ///< the number of the call, such as the training step
  std::uint64_t offset = 0;           ///< number of the first user in its batch, where a batch is split over calls
  bool distinct = false;              ///< no item twice among the K negatives of a user
  std::span<const std::int32_t> excluded{};  ///< further items, [user count, X] row-major; negative numbers are ignored
};

/// Draws items outside users' training positives, exactly in proportion to the weights. Element k of user i is draw
/// e = (offset + i) * K + k of call `at`: a function of (dataset, weights, seed, at, e), the user and its excluded
/// items. Immutable, thread-safe; copies share. Bytes do not depend on threads, splits or machines.
///
/// Negative user and item numbers are padding; the negatives of a padding user are -1. All members throw
/// out_of_range_error for other numbers that no user or item has, and option_error for spans of the wrong length.
class negative_sampler {
 public:
  /// Builds a membership index with options.threads.
  /// - Throws infeasible_error, naming users, if some user has no negative (see dataset_weights); option_error and
  ///   io_error for threads, interrupted_error.
  explicit negative_sampler(const dataset& data, const negative_options& options = {},
                            const run_control& control = {});
  /// Uses an existing index; bitset_budget is ignored.
  explicit negative_sampler(const positives_index& index, const negative_options& options = {});

  /// Returns the same sampler with another number of threads per call; 0 means one per core.
  negative_sampler with_threads(unsigned threads) const;

  /// Writes K negatives per user to out, [user count, K] row-major.
  /// - Throws infeasible_error if call.distinct or call.excluded leave a user fewer than K items, naming the user.
  void sample(std::span<const std::int32_t> users, const draw_call& call, std::span<std::int32_t> out) const;
  void sample(std::span<const std::int64_t> users, const draw_call& call, std::span<std::int32_t> out) const;

  /// Writes K items that a whole batch shares, drawn from all items: out [K]. Element k is draw offset + k, with tags
  /// of its own. call.excluded is [X], for all. Some items may be positives of some users: see contains().
  /// - With call.distinct, items are distinct within the call; a call with another offset may give them again.
  /// - Throws infeasible_error if call.distinct or call.excluded leave fewer than K items.
  void sample_shared(const draw_call& call, std::span<std::int32_t> out) const;

  /// Sets found[i] to 1 if items[i] is a training positive of users[i], else 0; 0 for padding. Exact.
  void contains(std::span<const std::int32_t> users, std::span<const std::int32_t> items,
                std::span<std::uint8_t> found) const;
  /// Sets found, [user count, item count] row-major, to whether each item is a positive of each user. A tile of an
  /// in-batch mask.
  void contains_each(std::span<const std::int32_t> users, std::span<const std::int32_t> items,
                     std::span<std::uint8_t> found) const;

  /// Sets values[i] to the natural logarithm of the probability that a draw for users[i] gives items[i]:
  /// log(weight) - log(weight of all items outside the user's positives). Weight 0 gives -infinity. The formula also
  /// is used for positives, which are never drawn. A negative user stands for shared draws: log(weight / W). Negative
  /// items give 0.
  void log_q(std::span<const std::int32_t> users, std::span<const std::int32_t> items, std::span<float> values) const;

  const dataset& data() const;
  std::uint64_t seed() const;
  const item_weights& weights() const;
  /// Returns the device, such as "cpu (x86-64-v4, 2 threads)".
  std::string description() const;

 private:
  struct state;
  std::shared_ptr<const state> shared_;
};

}  // namespace negpipe
