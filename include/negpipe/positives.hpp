// The structures that answer "has this user touched this item?", built once from a dataset.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "negpipe/core/positives.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

/// Bytes that a membership structure may take unless told otherwise.
inline constexpr std::uint64_t default_bitset_budget_bytes = 1ULL << 30;

/// Bytes that the bitsets of a shape take; the counts are at least 0.
std::uint64_t bitset_bytes(std::int32_t user_count, std::int32_t item_count);

/// Bytes that the Bloom filter of so many positives takes.
std::uint64_t bloom_filter_bytes(std::uint64_t positive_count);

/// The fastest form that fits the budget: bitsets (one read settles a candidate), else a blocked Bloom filter (nearly
/// always one read), else sorted search. Each is several times as fast as the next where users and items are many.
core::membership choose_membership(std::int32_t user_count, std::int32_t item_count, std::uint64_t positive_count,
                                   std::uint64_t budget_bytes);

/// Owns the membership structures of a dataset. Immutable once made; copies share; any number of threads may read
/// through view(), which stays valid as long as a copy lives.
class positives_index {
 public:
  /// In the form given, or the one that choose_membership() names for the dataset and the budget (any number of
  /// bytes; 0 builds nothing): results never depend on which. Keeps a copy of the dataset, which shares its arrays.
  /// Uses control's threads and polls its request to stop; reports nothing. Throws interrupted_error, option_error and
  /// io_error for threads that cannot be had, std::bad_alloc.
  positives_index(const dataset& data, std::uint64_t budget_bytes = default_bitset_budget_bytes,
                  const run_control& control = {}, std::optional<core::membership> form = {});

  core::positives_view view() const { return view_; }
  core::membership form() const { return view_.form; }
  /// Bytes held beyond the dataset's own arrays.
  std::uint64_t memory_bytes() const;
  const dataset& source() const { return data_; }

 private:
  struct storage;
  dataset data_;
  std::shared_ptr<const storage> owner_;
  core::positives_view view_;
};

}  // namespace negpipe
