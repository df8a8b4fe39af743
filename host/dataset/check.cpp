#include "storage.hpp"

#include <fmt/format.h>

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

  void row(std::size_t user, std::size_t begin, std::span<const std::int32_t> items, std::int32_t heldout,
           std::size_t item_count) const {
    std::int32_t before = -1;
    for (std::size_t k = 0; k < items.size(); ++k) {
      item("positive_items", begin + k, items[k], item_count);
      if (items[k] <= before) {
        fail("positive_items", fmt::format("values {} and {}, items of user {}, are not ascending: {} and {}",
                                           begin + k - 1, begin + k, user, before, items[k]));
      }
      if (items[k] == heldout) {
        fail("heldout_items",
             fmt::format("the held-out item {} of user {} is also a training positive", heldout, user));
      }
      before = items[k];
    }
  }
};

}  // namespace

void check_dataset(const array_location& location, std::span<const std::int64_t> user_offsets,
                   std::span<const std::int32_t> positive_items, std::span<const std::int32_t> heldout_items,
                   const raw_ids& user_ids, const raw_ids& item_ids) {
  const checker check{location};
  check.ids("user_ids", user_ids);
  check.ids("item_ids", item_ids);
  if (heldout_items.size() != user_ids.size()) {
    check.fail("heldout_items", fmt::format("{} values for {} users", heldout_items.size(), user_ids.size()));
  }
  if (user_offsets.size() != user_ids.size() + 1) {
    check.fail("user_offsets",
               fmt::format("{} values, wanted one more than {} users", user_offsets.size(), user_ids.size()));
  }
  if (positive_items.empty()) check.fail("positive_items", "there are no training positives");
  check.offsets("user_offsets", user_offsets, positive_items.size());
  for (std::size_t user = 0; user < heldout_items.size(); ++user) {
    const auto begin = static_cast<std::size_t>(user_offsets[user]);
    const auto end = static_cast<std::size_t>(user_offsets[user + 1]);
    check.item("heldout_items", user, heldout_items[user], item_ids.size());
    check.row(user, begin, positive_items.subspan(begin, end - begin), heldout_items[user], item_ids.size());
  }
}

}  // namespace negpipe
