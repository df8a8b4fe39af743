#include "verify_records.hpp"

#include <algorithm>
#include <atomic>

#include "padding_negatives.hpp"

namespace negpipe::pipeline {

namespace {

using core::point;

class training_checker final : public record_checker {
 public:
  training_checker(const training_plan& plan, std::uint32_t cycle, const core::positives_view& positives, bool counts)
      : plan_(plan),
        key_(make_cycle_key(plan, cycle)),
        view_(positives),
        counts_(counts),
        positive_seen_(counts ? plan.positive_count : 0),
        negatives_seen_(counts ? static_cast<std::size_t>(positives.user_count) : 0) {}

  void check(std::uint64_t batch, const record_columns& columns, findings& found) override {
    const std::uint64_t first = plan_.first_position(batch);
    // Padding is at the end of one record: record 0 with resample, because the first and the last batch are swapped.
    const std::uint64_t own = std::min(plan_.batch_size, plan_.point_count - std::min(first, plan_.point_count));
    if (batch == 0 && plan_.pad == padding_policy::resample) collect_padding(columns, own);
    for (std::uint64_t i = 0; i < plan_.batch_size; ++i) {
      const bool sound = i < own || plan_.pad != padding_policy::mask ? check_point(i, columns, i < own, found)
                                                                      : check_masked(first + i, i, columns, found);
      if (sound) compare(first + i, i, columns, found);
    }
  }

  void conclude(findings& found) override {
    for (std::int32_t user = 0; user < view_.user_count; ++user) conclude_user(user, found);
    padding_.for_each_missing([&](std::uint64_t key) {
      found.add("the padding in record 0 repeats (user {}, item {}, label 0), which is not a point of this cycle",
                key >> 32, key & 0xFFFF'FFFFU);
    });
  }

 private:
  void collect_padding(const record_columns& columns, std::uint64_t own) {
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = own; i < plan_.batch_size; ++i) {
      if (columns.flag(i) == 0) keys.push_back(pair_key(columns.user(i), columns.item(i)));
    }
    padding_.collect(std::move(keys));
  }

  /// Checks that ids are in range, the label is right and the mask is 1. Counts points that are not padding.
  bool check_point(std::uint64_t i, const record_columns& columns, bool counts, findings& found) {
    const std::int32_t user = columns.user(i);
    const std::int32_t item = columns.item(i);
    const int label = columns.flag(i);
    if (user < 0 || user >= view_.user_count) {
      found.add("position {}: user {} is out of range, 0 to {} wanted", i, user, view_.user_count - 1);
      return false;
    }
    if (item < 0 || item >= view_.item_count) {
      found.add("position {}: item {} is out of range, 0 to {} wanted", i, item, view_.item_count - 1);
      return false;
    }
    if (label != 0 && label != 1) {
      found.add("position {}: label {} found, 0 or 1 wanted", i, label);
      return false;
    }
    if (columns.is_valid(i) != 1) {
      found.add("position {}: valid_point_mask {} found, 1 wanted for a point of the cycle", i, columns.is_valid(i));
      return false;
    }
    const core::item_row row = view_.csr.row(user_id{user});
    const std::uint32_t rank = row.count_below(item);
    const bool is_positive = rank < row.count && row.items[rank] == item;
    if (is_positive != (label == 1)) {
      found.add("position {}: (user {}, item {}) has label {}, but the item is {} the user's training positives", i,
                user, item, label, is_positive ? "among" : "not among");
      return false;
    }
    if (counts && counts_) count(user, item, is_positive, rank);
    return true;
  }

  void count(std::int32_t user, std::int32_t item, bool is_positive, std::uint32_t rank) {
    const auto u = static_cast<std::size_t>(user);
    if (is_positive) {
      const auto positive = static_cast<std::size_t>(view_.csr.user_offsets[u]) + rank;
      positive_seen_[positive].fetch_add(1, std::memory_order_relaxed);
    } else {
      negatives_seen_[u].fetch_add(1, std::memory_order_relaxed);
      padding_.see(pair_key(user, item));
    }
  }

  bool check_masked(std::uint64_t position, std::uint64_t i, const record_columns& columns, findings& found) const {
    const auto user = static_cast<std::int32_t>(position % static_cast<std::uint32_t>(view_.user_count));
    const auto item = static_cast<std::int32_t>(position % static_cast<std::uint32_t>(view_.item_count));
    if (columns.is_valid(i) == 0 && columns.flag(i) == 0 && columns.user(i) == user && columns.item(i) == item) {
      return true;
    }
    found.add("position {}: masked padding (user {}, item {}, label {}, valid {}) found, ({}, {}, 0, 0) wanted", i,
              columns.user(i), columns.item(i), columns.flag(i), columns.is_valid(i), user, item);
    return false;
  }

  void compare(std::uint64_t position, std::uint64_t i, const record_columns& columns, findings& found) const {
    const point wanted = core::point_at(plan_, key_, view_, position, core::philox_source{plan_.seed});
    if (columns.user(i) == index(wanted.user) && columns.item(i) == index(wanted.item) &&
        columns.flag(i) == wanted.label) {
      return;
    }
    found.add("position {}: (user {}, item {}, label {}) found, ({}, {}, {}) wanted by the recorded seed", i,
              columns.user(i), columns.item(i), columns.flag(i), index(wanted.user), index(wanted.item), wanted.label);
  }

  /// Checks that each positive occurs once per epoch, with K negatives each time. Points may be missing only with
  /// padding_policy::drop.
  void conclude_user(std::int32_t user, findings& found) const {
    const bool may_lack = plan_.pad == padding_policy::drop;
    const auto u = static_cast<std::size_t>(user);
    const auto wrong = [&](std::uint64_t seen, std::uint64_t wanted) {
      return may_lack ? seen > wanted : seen != wanted;
    };
    const auto begin = static_cast<std::uint64_t>(view_.csr.user_offsets[u]);
    const auto end = static_cast<std::uint64_t>(view_.csr.user_offsets[u + 1]);
    for (std::uint64_t p = begin; p < end; ++p) {
      const std::uint32_t seen = positive_seen_[p].load(std::memory_order_relaxed);
      if (!wrong(seen, plan_.epochs)) continue;
      found.add("the positive (user {}, item {}) occurs {} times in the cycle, {}{} wanted", user,
                view_.csr.positive_items[p], seen, may_lack ? "at most " : "", plan_.epochs);
    }
    const std::uint64_t seen = negatives_seen_[u].load(std::memory_order_relaxed);
    const std::uint64_t wanted = plan_.epochs * (end - begin) * plan_.negatives;
    if (wrong(seen, wanted)) {
      found.add("user {} has {} negatives in the cycle, {}{} wanted ({} epochs, {} positives, {} each)", user, seen,
                may_lack ? "at most " : "", wanted, plan_.epochs, end - begin, plan_.negatives);
    }
  }

  training_plan plan_;
  core::cycle_key key_;
  core::positives_view view_;
  bool counts_;
  std::vector<std::atomic<std::uint32_t>> positive_seen_;   ///< occurrences, by positive
  std::vector<std::atomic<std::uint64_t>> negatives_seen_;  ///< number, by user
  padding_negatives padding_;
};

}  // namespace

std::unique_ptr<record_checker> make_training_checker(const training_plan& plan, std::uint32_t cycle,
                                                      const core::positives_view& positives, bool counts) {
  return std::make_unique<training_checker>(plan, cycle, positives, counts);
}

}  // namespace negpipe::pipeline
