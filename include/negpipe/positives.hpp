// Membership structures: answer "is this item one of the user's positives?". Built once per dataset.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "negpipe/core/positives.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

/// Default limit of the memory of a membership structure, in bytes.
inline constexpr std::uint64_t default_bitset_budget_bytes = 1ULL << 30;

/// Returns the bytes of a bit matrix of this shape. Counts are at least 0.
std::uint64_t bitset_bytes(std::int32_t user_count, std::int32_t item_count);

/// Returns the bytes of the Bloom filter of positive_count positives.
std::uint64_t bloom_filter_bytes(std::uint64_t positive_count);

/// Returns the fastest form within the budget: bitset (one read per candidate), else blocked Bloom filter (nearly
/// always one read), else sorted search. For many users and items, each is several times as fast as the next.
core::membership choose_membership(std::int32_t user_count, std::int32_t item_count, std::uint64_t positive_count,
                                   std::uint64_t budget_bytes);

/// Owns the membership structures of a dataset. Immutable and thread-safe; copies share. view() stays valid while a
/// copy lives.
class positives_index {
 public:
  /// Builds the structures. Keeps a copy of the dataset, which shares its arrays.
  /// - budget_bytes: any number; 0 builds none.
  /// - form: unset means choose_membership() for the dataset and the budget. Does not change results.
  /// - control: its threads are used and stop requests are polled; no progress is reported.
  /// - Throws interrupted_error, option_error or io_error for its threads, std::bad_alloc.
  positives_index(const dataset& data, std::uint64_t budget_bytes = default_bitset_budget_bytes,
                  const run_control& control = {}, std::optional<core::membership> form = {});

  /// Like the constructor, but builds the structures at the first view(), on all cores. A CUDA backend never asks for
  /// it: it builds its own on the device.
  static positives_index deferred(const dataset& data, std::uint64_t budget_bytes = default_bitset_budget_bytes,
                                  std::optional<core::membership> form = {});

  /// Builds the structures if they were deferred; throws what the constructor throws, and may be called again then.
  core::positives_view view() const;
  bool is_built() const;
  core::membership form() const { return form_; }
  /// Returns the bytes held in addition to the dataset's arrays; 0 before deferred structures are built.
  std::uint64_t memory_bytes() const;
  const dataset& source() const { return data_; }

 private:
  struct storage;
  positives_index(const dataset& data, core::membership form);

  dataset data_;
  core::membership form_;
  std::shared_ptr<storage> owner_;
};

}  // namespace negpipe
