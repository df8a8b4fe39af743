// The fast pass of verify: whole batches against the sampler, promises by sums. It says whether all is well, not what
// is wrong; the checks of verify_records.hpp say that, value by value.
#pragma once

#include <cstdint>
#include <memory>

#include "negpipe/core/positives.hpp"
#include "negpipe/sampler.hpp"
#include "verify_records.hpp"

namespace negpipe::pipeline {

/// Whether the records of one folder are what the seed says and keep every promise. Promises are checked on the values
/// themselves, not on how they were computed, so a sampler that errs is noticed.
class column_check {
 public:
  virtual ~column_check() = default;
  /// Whether a record equals the sampler's batch and keeps the promises that can be checked on it alone. Thread-safe
  /// for distinct batches, each passed once; batch 0 must come before all others.
  virtual bool agrees(std::uint64_t batch, const record_columns& columns) = 0;
  /// Whether the promises about the folder hold: only once every batch agreed.
  virtual bool concludes() const = 0;
};

/// Training records: each label is true; every positive occurs once an epoch, with its negatives; resampled padding
/// repeats points of the cycle. Occurrences are compared as sums of 64-bit hashes. The view must outlive the check.
std::unique_ptr<column_check> make_training_column_check(const sampler& source, std::uint32_t cycle,
                                                         const core::positives_view& positives);
/// Evaluation rows: the held-out item first, then items outside the user's positives; the mask marks repeats; without
/// replacement negatives are distinct and not the held-out item. The view must outlive the check.
std::unique_ptr<column_check> make_evaluation_column_check(const sampler& source,
                                                           const core::positives_view& positives);

}  // namespace negpipe::pipeline
