#include "split_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "hold_out.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

instant parse_bound(const std::string& text, const ratings& read) {
  instant time;
  if (read.times == time_format::date) {
    if (parse_date(text, time)) return time;
    throw option_error("split", fmt::format("the time is {}, but {} has dates; a date such as 2020-01-31 wanted", text,
                                            read.name));
  }
  if (parse_number(text, time)) return time;
  if (!parse_date(text, time)) {
    throw option_error("split", fmt::format("the time is {}; a number or a date such as 2020-01-31 wanted", text));
  }
  if (read.times_per_second == 0) {
    throw option_error("split", fmt::format("the time is {}, but the times of {} are numbers of an unknown unit; a "
                                            "number wanted",
                                            text, read.name));
  }
  constexpr std::uint64_t second = 1'000'000'000'000'000'000;
  const auto scale = static_cast<std::uint64_t>(read.times_per_second);
  const std::uint64_t unit = second / scale;
  return {time.whole * read.times_per_second + static_cast<std::int64_t>(time.fraction / unit),
          time.fraction % unit * scale};
}

/// Divides the rows of one user, in the order of time.
class user_splitter {
 public:
  explicit user_splitter(const split_options& split) : split_(split) {
    constexpr double parts = 1'000'000;
    const double sum = split.ratio[0] + split.ratio[1] + split.ratio[2];
    for (std::size_t set = 1; set < 3; ++set) {
      millionths_[set] = static_cast<std::uint64_t>(std::llround(split.ratio[set] / sum * parts));
    }
  }

  /// Returns the number of validation and test rows of n rows.
  std::pair<std::uint64_t, std::uint64_t> counts(std::uint64_t n) const {
    if (split_.kind == split_kind::leave_two_out) return {n >= 2 ? 1 : 0, n >= 1 ? 1 : 0};
    std::uint64_t validation = n * millionths_[1] / 1'000'000;
    std::uint64_t test = n * millionths_[2] / 1'000'000;
    if (test == 0 && validation + 1 < n) test = 1;
    if (validation == 0 && millionths_[1] != 0 && test + 1 < n) validation = 1;
    return {validation, test};
  }

 private:
  const split_options& split_;
  std::array<std::uint64_t, 3> millionths_{};  // exact for shares of at most six decimals
};

void assign_rows_of_users(const rating_columns& columns, const user_rows& grouped, const prepare_options& options,
                          support::thread_pool& pool, std::vector<row_set>& set_of) {
  const user_splitter splitter(options.split);
  const auto ranges = split_evenly(grouped.offsets, pool.thread_count());
  pool.for_each(ranges.size(), [&](std::uint64_t i) {
    std::vector<std::uint64_t> rows;
    for (std::size_t user = ranges[i].begin; user < ranges[i].end; ++user) {
      rows.assign(grouped.of(user).begin(), grouped.of(user).end());
      sort_by_time(columns, options.ties, options.seed, rows);
      const auto [validation, test] = splitter.counts(rows.size());
      for (std::size_t k = 0; k < rows.size(); ++k) {
        const std::size_t from_end = rows.size() - k;
        set_of[rows[k]] = from_end <= test                ? row_set::test
                          : from_end <= test + validation ? row_set::validation
                                                          : row_set::training;
      }
    }
  });
}

/// Writes the rows of one set.
void fill_set(row_set set, const rating_columns& columns, const user_rows& grouped, const std::vector<row_set>& set_of,
              support::thread_pool& pool, std::vector<std::int64_t>& offsets, std::vector<std::int32_t>& items) {
  const auto ranges = split_evenly(grouped.offsets, pool.thread_count());
  offsets.assign(grouped.user_count() + 1, 0);
  const auto is_in_set = [&](std::uint64_t row) { return set_of[row] == set; };
  pool.for_each(ranges.size(), [&](std::uint64_t i) {
    for (std::size_t user = ranges[i].begin; user < ranges[i].end; ++user) {
      offsets[user + 1] = std::ranges::count_if(grouped.of(user), is_in_set);
    }
  });
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  items.resize(static_cast<std::size_t>(offsets.back()));
  pool.for_each(ranges.size(), [&](std::uint64_t i) {
    for (std::size_t user = ranges[i].begin; user < ranges[i].end; ++user) {
      const auto begin = items.begin() + offsets[user];
      auto end = begin;
      for (const std::uint64_t row : grouped.of(user)) {
        if (is_in_set(row)) *end++ = columns.items[row];
      }
      std::sort(begin, end);
    }
  });
}

}  // namespace

common_split::common_split(const split_options& split, const ratings& read) : by_table_(false) {
  if (read.detected.time_column.empty()) {
    throw option_error("split", "a split by time needs a time column, and `order` must be time");
  }
  times_[1] = parse_bound(split.test_from, read);
  times_[0] = split.validation_from.empty() ? times_[1] : parse_bound(split.validation_from, read);
  if (times_[1] < times_[0]) {
    throw option_error("split", fmt::format("the validation set begins at {}, after the test set at {}",
                                            split.validation_from, split.test_from));
  }
}

void common_split::assign(rating_columns& columns, std::span<const std::uint64_t> rows) const {
  const auto set_of = [&]<typename Value>(const Value& value, const std::array<Value, 2>& begins) {
    return value < begins[0] ? row_set::training : value < begins[1] ? row_set::validation : row_set::test;
  };
  columns.sets.resize(columns.row_count());
  for (std::uint64_t i = 0; i < columns.row_count(); ++i) {
    columns.sets[i] = by_table_ ? set_of(rows.empty() ? i : rows[i], begins_) : set_of(columns.time_of(i), times_);
  }
}

void split_rows(const rating_columns& columns, const user_rows& grouped, const prepare_options& options,
                const common_split* common, support::thread_pool& pool, dataset_arrays& arrays) {
  if (common == nullptr && options.split.kind == split_kind::leave_one_out) {
    return hold_out_last(columns, grouped, options.ties, options.seed, pool, arrays);
  }
  std::vector<row_set> sets_within_users;
  if (common == nullptr) {
    sets_within_users.resize(columns.row_count());
    assign_rows_of_users(columns, grouped, options, pool, sets_within_users);
  }
  const std::vector<row_set>& set_of = common == nullptr ? sets_within_users : columns.sets;
  const auto fill = [&](row_set set, std::vector<std::int64_t>& offsets, std::vector<std::int32_t>& items) {
    fill_set(set, columns, grouped, set_of, pool, offsets, items);
  };
  fill(row_set::training, arrays.user_offsets, arrays.positive_items);
  fill(row_set::test, arrays.test_offsets, arrays.heldout_items);
  const bool has_validation = common != nullptr ? common->has_validation()
                                                : options.split.kind == split_kind::leave_two_out ||
                                                      options.split.ratio[1] != 0;
  if (has_validation) fill(row_set::validation, arrays.validation_offsets, arrays.validation_items);
}

}  // namespace negpipe::ingest
