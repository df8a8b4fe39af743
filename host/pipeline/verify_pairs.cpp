// Both passes of verify for records of the pairwise layout.
#include <algorithm>
#include <atomic>

#include "column_comparison.hpp"
#include "negpipe/core/pairwise.hpp"
#include "padding_negatives.hpp"
#include "verify_columns.hpp"
#include "verify_records.hpp"

namespace negpipe::pipeline {

namespace {

bool is_in_range(const core::positives_view& view, std::int32_t user, std::int32_t item) {
  return user >= 0 && user < view.user_count && item >= 0 && item < view.item_count;
}

/// Returns a hash of row i of a record with all its negatives.
std::uint64_t row_key(const record_columns& columns, std::uint64_t i, std::uint64_t negatives) {
  std::uint64_t key = mix(pair_key(columns.user(i), columns.item(i)));
  for (std::uint64_t k = 0; k < negatives; ++k) {
    key += mix(k << 32 | static_cast<std::uint32_t>(columns.negative(i * negatives + k)));
  }
  return key;
}

/// The rows of one record: how many come before the padding, and the keys of padding that repeats rows.
struct row_range {
  std::uint64_t first;  ///< position of row 0
  std::uint64_t own;    ///< rows that are not padding

  row_range(const training_plan& plan, std::uint64_t batch)
      : first(plan.first_position(batch)),
        own(std::min(plan.batch_size, plan.point_count - std::min(first, plan.point_count))) {}
};

/// Reads the padding of record 0.
void collect_padding(const training_plan& plan, const record_columns& columns, std::uint64_t own,
                     padding_negatives& padding) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = own; i < plan.batch_size; ++i) keys.push_back(row_key(columns, i, plan.negatives));
  padding.collect(std::move(keys));
}

class pair_check final : public column_check {
 public:
  pair_check(const sampler& source, std::uint32_t cycle, const core::positives_view& positives)
      : source_(source),
        plan_(source.plan()),
        cycle_(cycle),
        view_(positives),
        block_rows_(std::min(plan_.batch_size, std::max<std::uint64_t>(1, block_values / (plan_.negatives + 1ULL)))) {}

  bool agrees(std::uint64_t batch, const record_columns& columns) override {
    const row_range rows(plan_, batch);
    if (batch == 0 && plan_.pad == padding_policy::resample) collect_padding(plan_, columns, rows.own, padding_);
    std::unique_ptr<pair_batch> lent = blocks_.take([&] {
      return pair_batch(block_rows_, plan_.negatives, source_.item_width(), plan_.pad == padding_policy::mask);
    });
    bool is_sound = true;
    std::uint64_t positives = 0;
    for (std::uint64_t begin = 0; begin < plan_.batch_size && is_sound; begin += block_rows_) {
      const std::uint64_t count = std::min(block_rows_, plan_.batch_size - begin);
      source_.fill_rows(cycle_, rows.first + begin, count, lent->columns());
      is_sound = equals(columns, begin, count, *lent);
      for (std::uint64_t i = begin; i < std::min(begin + count, rows.own) && is_sound; ++i) {
        is_sound = is_valid_row(columns, i);
        positives += mix(pair_key(columns.user(i), columns.item(i)));
        if (!padding_.empty()) padding_.see(row_key(columns, i, plan_.negatives));
      }
    }
    blocks_.give_back(std::move(lent));
    positives_.fetch_add(positives);
    return is_sound;
  }

  // The sum also shows that every (user, item) is a positive.
  bool concludes() const override {
    std::uint64_t wanted = 0;
    for (std::int32_t user = 0; user < view_.user_count; ++user) {
      const core::item_row row = view_.csr.row(user_id{user});
      for (std::uint32_t i = 0; i < row.count; ++i) wanted += mix(pair_key(user, row.items[i]));
    }
    if (positives_.load() + dropped_positives() != wanted * plan_.epochs) return false;
    bool all_seen = true;
    padding_.for_each_missing([&](std::uint64_t) { all_seen = false; });
    return all_seen;
  }

 private:
  /// Large enough for several threads or a device.
  static constexpr std::uint64_t block_values = 1 << 20;

  bool equals(const record_columns& columns, std::uint64_t begin, std::uint64_t count, const pair_batch& wanted) const {
    const std::uint64_t width = item_bytes(columns.item_width);
    const std::uint64_t negatives = plan_.negatives;
    return equal(columns.users.subspan(4 * begin, 4 * count), wanted.users().first(count)) &&
           equal(columns.items.subspan(width * begin, width * count), wanted.items().first(count)) &&
           equal(columns.negatives.subspan(width * negatives * begin, width * negatives * count),
                 wanted.negatives().first(negatives * count)) &&
           (wanted.valid().empty() || equal(columns.valid.subspan(begin, count), wanted.valid().first(count)));
  }

  bool is_valid_row(const record_columns& columns, std::uint64_t i) const {
    const std::int32_t user = columns.user(i);
    if (!is_in_range(view_, user, columns.item(i))) return false;
    for (std::uint64_t k = 0; k < plan_.negatives; ++k) {
      const std::int32_t item = columns.negative(i * plan_.negatives + k);
      if (!is_in_range(view_, user, item) || view_.contains(user_id{user}, item)) return false;
    }
    return true;
  }

  /// Returns the sum of the rows that padding_policy::drop leaves out, fewer than a batch.
  std::uint64_t dropped_positives() const {
    std::uint64_t sum = 0;
    if (plan_.padded_count() >= plan_.point_count) return sum;
    const core::cycle_key key = make_cycle_key(plan_, cycle_);
    for (std::uint64_t i = plan_.padded_count(); i < plan_.point_count; ++i) {
      const core::pair_row row = core::pair_at(plan_, key, view_, i, core::philox_source{plan_.seed});
      sum += mix(pair_key(index(row.user), index(row.item)));
    }
    return sum;
  }

  sampler source_;
  training_plan plan_;
  std::uint32_t cycle_;
  core::positives_view view_;
  std::atomic<std::uint64_t> positives_{0};
  padding_negatives padding_;
  std::uint64_t block_rows_;
  object_pool<pair_batch> blocks_;
};

class pair_checker final : public record_checker {
 public:
  pair_checker(const training_plan& plan, std::uint32_t cycle, const core::positives_view& positives, bool counts)
      : plan_(plan),
        key_(make_cycle_key(plan, cycle)),
        view_(positives),
        counts_(counts),
        positive_seen_(counts ? plan.positive_count : 0) {}

  void check(std::uint64_t batch, const record_columns& columns, findings& found) override {
    const row_range rows(plan_, batch);
    if (batch == 0 && plan_.pad == padding_policy::resample) collect_padding(plan_, columns, rows.own, padding_);
    for (std::uint64_t i = 0; i < plan_.batch_size; ++i) {
      const bool is_masked = i >= rows.own && plan_.pad == padding_policy::mask;
      if (is_masked || check_row(i, columns, i < rows.own, found)) compare(rows.first + i, i, columns, found);
    }
  }

  /// Checks that each positive occurs once per epoch. Rows may be missing only with padding_policy::drop.
  void conclude(findings& found) override {
    const bool may_lack = plan_.pad == padding_policy::drop;
    for (std::uint64_t p = 0; p < plan_.positive_count; ++p) {
      const std::uint32_t seen = positive_seen_[p].load(std::memory_order_relaxed);
      if (may_lack ? seen <= plan_.epochs : seen == plan_.epochs) continue;
      found.add("the positive (user {}, item {}) occurs {} times in the cycle, {}{} wanted",
                index(view_.csr.user_of(p)), view_.csr.positive_items[p], seen, may_lack ? "at most " : "",
                plan_.epochs);
    }
    std::uint64_t missing = 0;
    padding_.for_each_missing([&](std::uint64_t) { ++missing; });
    if (missing != 0) {
      found.add("the padding in record 0 has {} rows that are not rows of this cycle, repeats of such rows wanted",
                missing);
    }
  }

 private:
  /// Checks that ids are in range, the item is a positive, the negatives are not, and the mask is 1.
  bool check_row(std::uint64_t i, const record_columns& columns, bool counts, findings& found) {
    const std::int32_t user = columns.user(i);
    const std::int32_t item = columns.item(i);
    if (user < 0 || user >= view_.user_count) {
      found.add("row {}: user {} is out of range, 0 to {} wanted", i, user, view_.user_count - 1);
      return false;
    }
    const core::item_row row = view_.csr.row(user_id{user});
    const std::uint32_t rank = row.count_below(item);
    if (rank >= row.count || row.items[rank] != item) {
      found.add("row {}: item {} is not among the training positives of user {}", i, item, user);
      return false;
    }
    if (columns.is_valid(i) != 1) {
      found.add("row {}: valid_point_mask {} found, 1 wanted for a row of the cycle", i, columns.is_valid(i));
      return false;
    }
    if (!check_negatives(i, columns, row, found)) return false;
    if (counts && counts_) {
      const auto positive = static_cast<std::size_t>(view_.csr.user_offsets[user]) + rank;
      positive_seen_[positive].fetch_add(1, std::memory_order_relaxed);
      if (!padding_.empty()) padding_.see(row_key(columns, i, plan_.negatives));
    }
    return true;
  }

  bool check_negatives(std::uint64_t i, const record_columns& columns, const core::item_row& row,
                       findings& found) const {
    for (std::uint64_t k = 0; k < plan_.negatives; ++k) {
      const std::int32_t item = columns.negative(i * plan_.negatives + k);
      if (item < 0 || item >= view_.item_count) {
        found.add("row {}: negative {} is item {}, which is out of range, 0 to {} wanted", i, k, item,
                  view_.item_count - 1);
        return false;
      }
      if (row.contains(item)) {
        found.add("row {}: negative {}, item {}, is among the training positives of user {}", i, k, item,
                  columns.user(i));
        return false;
      }
    }
    return true;
  }

  void compare(std::uint64_t position, std::uint64_t i, const record_columns& columns, findings& found) const {
    const core::philox_source source{plan_.seed};
    const core::pair_row wanted = core::pair_at(plan_, key_, view_, position, source);
    if (columns.user(i) != index(wanted.user) || columns.item(i) != index(wanted.item) ||
        columns.is_valid(i) != wanted.valid) {
      found.add("row {}: (user {}, item {}, valid {}) found, ({}, {}, {}) wanted by the recorded seed", i,
                columns.user(i), columns.item(i), columns.is_valid(i), index(wanted.user), index(wanted.item),
                wanted.valid);
      return;
    }
    for (std::uint32_t k = 0; k < plan_.negatives; ++k) {
      const std::int32_t made = columns.negative(i * plan_.negatives + k);
      const std::int32_t negative = index(core::pair_negative(plan_, key_, view_, wanted, k, source));
      if (made == negative) continue;
      found.add("row {}: negative {} is item {}, {} wanted by the recorded seed", i, k, made, negative);
      return;
    }
  }

  training_plan plan_;
  core::cycle_key key_;
  core::positives_view view_;
  bool counts_;
  std::vector<std::atomic<std::uint32_t>> positive_seen_;  ///< occurrences, by positive
  padding_negatives padding_;
};

}  // namespace

std::unique_ptr<column_check> make_pair_column_check(const sampler& source, std::uint32_t cycle,
                                                     const core::positives_view& positives) {
  return std::make_unique<pair_check>(source, cycle, positives);
}

std::unique_ptr<record_checker> make_pair_checker(const training_plan& plan, std::uint32_t cycle,
                                                  const core::positives_view& positives, bool counts) {
  return std::make_unique<pair_checker>(plan, cycle, positives, counts);
}

}  // namespace negpipe::pipeline
