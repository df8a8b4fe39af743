// The value checks of verify: findings, the columns of one record, and checkers for training and evaluation data.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "little_endian.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/plan.hpp"

namespace negpipe::pipeline {

/// Violated guarantees of one record or one folder. Counts all, keeps the messages of the first few.
class findings {
 public:
  static constexpr std::size_t max_messages = 3;

  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (++count_ <= max_messages) messages_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  std::uint64_t count() const { return count_; }
  const std::vector<std::string>& messages() const { return messages_; }

 private:
  std::uint64_t count_ = 0;
  std::vector<std::string> messages_;
};

/// Non-owning view of the arrays of one record, batch_size values each, at any alignment.
struct record_columns {
  std::span<const std::byte> users;
  std::span<const std::byte> items;
  std::span<const std::byte> flags;      ///< labels or duplicate_mask; empty if pairwise
  std::span<const std::byte> negatives;  ///< K values a row if pairwise, else empty
  std::span<const std::byte> valid;      ///< empty without valid_point_mask
  item_type item_width;

  std::int32_t user(std::uint64_t i) const {
    return static_cast<std::int32_t>(record::load_le<std::uint32_t>(users.data() + 4 * i));
  }
  std::int32_t item(std::uint64_t i) const { return load_item(items, i); }
  std::int32_t negative(std::uint64_t i) const { return load_item(negatives, i); }
  std::int8_t flag(std::uint64_t i) const { return static_cast<std::int8_t>(flags[i]); }
  std::int8_t is_valid(std::uint64_t i) const {
    return valid.empty() ? std::int8_t{1} : static_cast<std::int8_t>(valid[i]);
  }

 private:
  std::int32_t load_item(std::span<const std::byte> column, std::uint64_t i) const {
    return item_width == item_type::uint16
               ? record::load_le<std::uint16_t>(column.data() + 2 * i)
               : static_cast<std::int32_t>(record::load_le<std::uint32_t>(column.data() + 4 * i));
  }
};

/// Checks the records of one folder: first the guarantees, then equality with what the seed determines. A value that
/// violates a guarantee is not reported a second time.
class record_checker {
 public:
  virtual ~record_checker() = default;
  /// Checks one record. Thread-safe for distinct batches. Batch 0 must be passed before all others.
  virtual void check(std::uint64_t batch, const record_columns& columns, findings& found) = 0;
  /// Checks the guarantees about the whole folder. Every batch must have been passed.
  virtual void conclude(findings& found) = 0;
};

/// The view must outlive the checker.
/// - counts: whether conclude() will be called. If not, no counters are kept, which take 4 bytes a positive.
std::unique_ptr<record_checker> make_training_checker(const training_plan& plan, std::uint32_t cycle,
                                                      const core::positives_view& positives, bool counts);
std::unique_ptr<record_checker> make_pair_checker(const training_plan& plan, std::uint32_t cycle,
                                                  const core::positives_view& positives, bool counts);
std::unique_ptr<record_checker> make_evaluation_checker(const evaluation_plan& plan,
                                                        const core::positives_view& positives);

}  // namespace negpipe::pipeline
