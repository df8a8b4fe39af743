#include "storage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "negpipe/error.hpp"

namespace negpipe {

namespace {

constexpr std::uint64_t max_id_count = std::numeric_limits<std::int32_t>::max();

struct checker {
  const array_location& location;

  [[noreturn]] void fail(std::string_view array, const std::string& finding) const {
    throw format_error(fmt::format("{}: {}; {}", location(array), finding, location.remedy));
  }

  void offsets(std::string_view array, std::span<const std::int64_t> values, std::uint64_t last) const {
    if (values.empty() || values[0] != 0) fail(array, "the first offset is not 0");
    for (std::size_t i = 1; i < values.size(); ++i) {
      if (values[i] < values[i - 1]) {
        fail(array, fmt::format("offset {} is {}, below the one before it, {}", i, values[i], values[i - 1]));
      }
    }
    if (static_cast<std::uint64_t>(values.back()) != last) {
      fail(array, fmt::format("the last offset is {}, wanted {}", values.back(), last));
    }
  }

  void ids(std::string_view array, const raw_ids& raw) const {
    if (raw.is_text()) offsets(array, raw.numbers_or_offsets(), raw.bytes().size());
    if (raw.size() > max_id_count)
      fail(array, fmt::format("{} ids, at most {} are possible", raw.size(), max_id_count));
  }

  void item(std::string_view array, std::size_t i, std::int32_t value, std::size_t item_count) const {
    if (value < 0 || static_cast<std::size_t>(value) >= item_count) {
      fail(array, fmt::format("value {} is {}, wanted an item in [0, {})", i, value, item_count));
    }
  }

  void row(std::string_view array, std::size_t user, std::size_t begin, std::span<const std::int32_t> items,
           std::size_t item_count) const {
    std::int32_t before = -1;
    for (std::size_t k = 0; k < items.size(); ++k) {
      item(array, begin + k, items[k], item_count);
      if (items[k] <= before) {
        fail(array, fmt::format("values {} and {}, items of user {}, are not ascending: {} and {}", begin + k - 1,
                                begin + k, user, before, items[k]));
      }
      before = items[k];
    }
  }

  void shape(std::string_view array, std::span<const std::int64_t> values, std::size_t user_count,
             std::size_t item_count) const {
    if (values.size() != user_count + 1) {
      fail(array, fmt::format("{} values, wanted one more than {} users", values.size(), user_count));
    }
    offsets(array, values, item_count);
  }

  /// Checks that no item of a row is in another row of the user.
  void apart(std::string_view array, std::string_view name, std::size_t user, std::span<const std::int32_t> items,
             std::span<const std::int32_t> others, std::string_view other_name) const {
    for (const std::int32_t item : items) {
      if (!std::ranges::binary_search(others, item)) continue;
      fail(array, fmt::format("the {} item {} of user {} is also a {}", name, item, user, other_name));
    }
  }
};

}  // namespace

void check_ids(const array_location& location, std::string_view array, const raw_ids& ids) {
  checker{location}.ids(array, ids);
}

void check_dataset(const array_location& location, const array_views& arrays) {
  check_ids(location, "item_ids", arrays.item_ids);
  check_shard(location, arrays);
}

void check_shard(const array_location& location, const array_views& arrays) {
  const checker check{location};
  check.ids("user_ids", arrays.user_ids);
  const std::size_t users = arrays.user_ids.size();
  const std::size_t items = arrays.item_ids.size();
  const user_items training{arrays.user_offsets, arrays.positive_items};
  const bool has_validation = !arrays.validation.offsets.empty();
  if (training.items.empty()) check.fail("positive_items", "there are no training positives");
  check.shape("user_offsets", training.offsets, users, training.items.size());
  check.shape("test_offsets", arrays.test.offsets, users, arrays.test.items.size());
  if (has_validation) {
    check.shape("validation_offsets", arrays.validation.offsets, users, arrays.validation.items.size());
  }
  const auto row = [&](std::string_view array, const user_items& set, std::size_t user) {
    check.row(array, user, static_cast<std::size_t>(set.offsets[user]), set.of(user), items);
    return set.of(user);
  };
  for (std::size_t user = 0; user < users; ++user) {
    const auto positives = row("positive_items", training, user);
    const auto test = row("test_items", arrays.test, user);
    check.apart("test_items", "test", user, test, positives, "training positive");
    if (!has_validation) continue;
    const auto validation = row("validation_items", arrays.validation, user);
    check.apart("validation_items", "validation", user, validation, positives, "training positive");
    check.apart("validation_items", "validation", user, validation, test, "test item");
  }
}

}  // namespace negpipe
