// The fast pass of verify: compares whole batches with the sampler, and checks guarantees by sums. It detects errors;
// the checks of verify_records.hpp locate them, value by value.
#pragma once

#include <cstdint>
#include <memory>

#include "negpipe/core/positives.hpp"
#include "negpipe/sampler.hpp"
#include "verify_records.hpp"

namespace negpipe::pipeline {

/// Checks that the records of one folder equal the sampler's output and have every guaranteed property. Properties are
/// checked on the values alone, so errors of the sampler are detected too.
class column_check {
 public:
  virtual ~column_check() = default;
  /// Returns whether a record equals the sampler's batch and has the properties that concern a single record.
  /// Thread-safe for distinct batches, each passed once; batch 0 must be passed before all others.
  virtual bool agrees(std::uint64_t batch, const record_columns& columns) = 0;
  /// Returns whether the properties of the whole folder hold. Every batch must have agreed.
  virtual bool concludes() const = 0;
};

/// Training records: each label is true; every positive occurs once an epoch, with its negatives; resampled padding
/// repeats points of the cycle. Occurrences are compared as sums of 64-bit hashes. The view must outlive the check.
std::unique_ptr<column_check> make_training_column_check(const sampler& source, std::uint32_t cycle,
                                                         const core::positives_view& positives);
/// Records of the pairwise layout: every positive occurs once an epoch; no negative is a positive of its user;
/// resampled padding repeats rows of the cycle.
std::unique_ptr<column_check> make_pair_column_check(const sampler& source, std::uint32_t cycle,
                                                     const core::positives_view& positives);
/// Evaluation rows: the held-out item first, then items outside the user's positives; the mask marks repeats; without
/// replacement negatives are distinct and not the held-out item. The view must outlive the check.
std::unique_ptr<column_check> make_evaluation_column_check(const sampler& source,
                                                           const core::positives_view& positives);

}  // namespace negpipe::pipeline
