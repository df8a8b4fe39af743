#include <algorithm>
#include <iterator>
#include <numeric>

#include "negpipe/plan.hpp"

namespace negpipe {

namespace {

std::vector<std::int64_t> numbers_below(std::size_t count) {
  std::vector<std::int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
  return numbers;
}

template <typename T>
std::vector<T> copy_of(std::span<const T> values) {
  return {values.begin(), values.end()};
}

/// Sets the positives of each user to the union of two sets.
void merge(const user_items& a, const user_items& b, dataset_arrays& arrays) {
  arrays.user_offsets = {0};
  arrays.positive_items.reserve(a.items.size() + b.items.size());
  for (std::size_t user = 0; user + 1 < a.offsets.size(); ++user) {
    std::ranges::merge(a.of(user), b.of(user), std::back_inserter(arrays.positive_items));
    arrays.user_offsets.push_back(static_cast<std::int64_t>(arrays.positive_items.size()));
  }
}

}  // namespace

bool needs_evaluation_rows(const dataset& data, const evaluation_options& options) {
  return options.set == heldout_set::validation || (data.has_validation() && !options.mlperf);
}

dataset evaluation_rows(const dataset& data, const evaluation_options& options) {
  if (!needs_evaluation_rows(data, options)) return data;
  const user_items& set = data.heldout(options.set);
  const bool tests = options.set == heldout_set::test;
  const user_items& other = data.heldout(tests ? heldout_set::validation : heldout_set::test);
  const user_items training{data.user_offsets(), data.positive_items()};
  dataset_arrays arrays;
  if (options.mlperf) {
    arrays.user_offsets = copy_of(training.offsets);
    arrays.positive_items = copy_of(training.items);
  } else {
    merge(training, other, arrays);
  }
  arrays.test_offsets = copy_of(set.offsets);
  arrays.heldout_items = copy_of(set.items);
  arrays.user_ids = numbers_below(data.user_ids().size());
  arrays.item_ids = numbers_below(data.item_ids().size());
  return dataset(std::move(arrays), {});
}

}  // namespace negpipe
