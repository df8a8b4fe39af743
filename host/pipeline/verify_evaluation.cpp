#include "verify_records.hpp"

#include <algorithm>

namespace negpipe::pipeline {

namespace {

class evaluation_checker final : public record_checker {
 public:
  evaluation_checker(const evaluation_plan& plan, const core::positives_view& positives)
      : plan_(plan), view_(positives) {}

  void check(std::uint64_t batch, const record_columns& columns, findings& found) override {
    const std::uint64_t rows = plan_.batch_size / plan_.row_length();
    for (std::uint64_t r = 0; r < rows; ++r) {
      const std::uint64_t user = batch * rows + r;
      const std::uint64_t first = r * plan_.row_length();
      const std::vector<std::int8_t> repeats = repeats_in(first, columns);
      check_mask(first, repeats, columns, found);
      if (!core::is_evaluated(plan_, view_, user)) {
        check_padding(first, columns, found);
      } else if (check_row(user_id{static_cast<std::int32_t>(user)}, first, repeats, columns, found)) {
        compare(user_id{static_cast<std::int32_t>(user)}, first, columns, found);
      }
    }
  }

  // Each user has a fixed row, so every check concerns a single record.
  void conclude(findings&) override {}

 private:
  /// Returns the expected duplicate mask of a row: 1 where an item occurs earlier in the row. Found by sorting,
  /// independently of the method of the backends.
  std::vector<std::int8_t> repeats_in(std::uint64_t first, const record_columns& columns) const {
    std::vector<std::uint64_t> by_item(plan_.row_length());  // item, then column
    for (std::uint64_t c = 0; c < by_item.size(); ++c) {
      by_item[c] = static_cast<std::uint64_t>(static_cast<std::uint32_t>(columns.item(first + c))) << 32 | c;
    }
    std::ranges::sort(by_item);
    std::vector<std::int8_t> repeats(by_item.size(), 0);
    for (std::size_t i = 1; i < by_item.size(); ++i) {
      if (by_item[i] >> 32 == by_item[i - 1] >> 32) repeats[by_item[i] & 0xFFFF'FFFFU] = 1;
    }
    return repeats;
  }

  void check_mask(std::uint64_t first, const std::vector<std::int8_t>& repeats, const record_columns& columns,
                  findings& found) const {
    for (std::uint64_t c = 0; c < repeats.size(); ++c) {
      if (columns.flag(first + c) == repeats[c]) continue;
      found.add("position {}: duplicate_mask {} found, {} wanted: item {} {} earlier in its row", first + c,
                columns.flag(first + c), repeats[c], columns.item(first + c),
                repeats[c] == 1 ? "occurs" : "does not occur");
    }
  }

  void check_padding(std::uint64_t first, const record_columns& columns, findings& found) const {
    for (std::uint64_t i = first; i < first + plan_.row_length(); ++i) {
      if (columns.user(i) == 0 && columns.item(i) == 0) continue;
      found.add("position {}: (user {}, item {}) found in a padding row, (0, 0) wanted", i, columns.user(i),
                columns.item(i));
    }
  }

  /// Checks the held-out item and the negatives of a row. Returns whether both are valid.
  bool check_row(user_id user, std::uint64_t first, const std::vector<std::int8_t>& repeats,
                 const record_columns& columns, findings& found) const {
    const std::uint64_t before = found.count();
    const std::int32_t heldout = view_.heldout[index(user)];
    if (columns.item(first) != heldout) {
      found.add("position {}: item {} begins the row of user {}, the held-out item {} wanted", first,
                columns.item(first), index(user), heldout);
    }
    for (std::uint64_t c = 0; c < plan_.row_length(); ++c) {
      if (columns.user(first + c) != index(user)) {
        found.add("position {}: user {} found, {} wanted (users ascending, {} values each)", first + c,
                  columns.user(first + c), index(user), plan_.row_length());
      }
      if (c > 0) check_negative(user, first + c, repeats[c] == 1, columns, found);
    }
    return found.count() == before;
  }

  void check_negative(user_id user, std::uint64_t i, bool repeated, const record_columns& columns,
                      findings& found) const {
    const std::int32_t item = columns.item(i);
    if (item < 0 || item >= view_.item_count) {
      found.add("position {}: item {} is out of range, 0 to {} wanted", i, item, view_.item_count - 1);
    } else if (view_.contains(user, item)) {
      found.add("position {}: item {} is a negative of user {}, but it is among the user's training positives", i, item,
                index(user));
    } else if (plan_.weights.is_set() && is_weightless(item)) {
      found.add("position {}: item {} is a negative of user {}, but its weight is 0", i, item, index(user));
    } else if (!plan_.with_replacement && item == view_.heldout[index(user)]) {
      found.add("position {}: item {} is a negative of user {}, but it is the user's held-out item", i, item,
                index(user));
    } else if (!plan_.with_replacement && !plan_.fewer && repeated) {
      found.add("position {}: item {} is a negative of user {} for the second time; without `mlperf` negatives are "
                "distinct",
                i, item, index(user));
    }
  }

  void compare(user_id user, std::uint64_t first, const record_columns& columns, findings& found) const {
    std::vector<std::int32_t> wanted(plan_.row_length());
    core::write_row(plan_, view_, user, core::philox_source{plan_.seed}, wanted.data());
    for (std::uint32_t column = 1; column < plan_.row_length(); ++column) {
      if (columns.item(first + column) == wanted[column]) continue;
      found.add("position {}: item {} found, {} wanted by the recorded seed", first + column,
                columns.item(first + column), wanted[column]);
    }
  }

  bool is_weightless(std::int32_t item) const {
    return plan_.weights.weight_sums[item] == plan_.weights.weight_sums[item + 1];
  }

  evaluation_plan plan_;
  core::positives_view view_;
};

}  // namespace

std::unique_ptr<record_checker> make_evaluation_checker(const evaluation_plan& plan,
                                                        const core::positives_view& positives) {
  return std::make_unique<evaluation_checker>(plan, positives);
}

}  // namespace negpipe::pipeline
