#include "negpipe/dataset.hpp"

#include <array>
#include <numeric>
#include <string_view>
#include <utility>

#include "digest.hpp"
#include "storage.hpp"

namespace negpipe {

namespace {

owned_ids take_ids(std::variant<std::vector<std::int64_t>, std::vector<std::string>>&& ids) {
  if (auto* numbers = std::get_if<std::vector<std::int64_t>>(&ids)) return {std::move(*numbers), {}, false};
  owned_ids text{{0}, {}, true};
  for (const std::string& id : std::get<std::vector<std::string>>(ids)) {
    text.bytes.insert(text.bytes.end(), id.begin(), id.end());
    text.numbers_or_offsets.push_back(static_cast<std::int64_t>(text.bytes.size()));
  }
  return text;
}

}  // namespace

std::string raw_ids::to_string(std::size_t i) const {
  if (!is_text_) return std::to_string(numbers_[i]);
  const auto begin = static_cast<std::size_t>(numbers_[i]);
  const auto end = static_cast<std::size_t>(numbers_[i + 1]);
  return std::string(bytes_.data() + begin, end - begin);
}

std::vector<std::int64_t> one_item_per_user(std::size_t user_count) {
  std::vector<std::int64_t> offsets(user_count + 1);
  std::iota(offsets.begin(), offsets.end(), std::int64_t{0});
  return offsets;
}

bool has_one_item_per_user(const user_items& set) {
  if (set.items.size() + 1 != set.offsets.size()) return false;
  for (std::size_t user = 0; user < set.offsets.size(); ++user) {
    if (set.offsets[user] != static_cast<std::int64_t>(user)) return false;
  }
  return true;
}

std::vector<std::int32_t> single_items(const user_items& set) {
  std::vector<std::int32_t> items(set.offsets.size() - 1, -1);
  for (std::size_t user = 0; user < items.size(); ++user) {
    if (const auto row = set.of(user); row.size() == 1) items[user] = row[0];
  }
  return items;
}

std::string digest_of(const array_views& arrays) {
  support::md5 digest;
  const std::array<std::uint64_t, 3> counts{arrays.user_ids.size(), arrays.item_ids.size(),
                                            arrays.positive_items.size()};
  const auto update = [&](auto values) { digest.update(std::as_bytes(std::span(values))); };
  update(std::span(counts));
  update(arrays.user_offsets);
  update(arrays.positive_items);
  update(arrays.test.items);
  if (!has_one_item_per_user(arrays.test)) {
    update(std::string_view("test_offsets"));
    update(arrays.test.offsets);
  }
  if (!arrays.validation.offsets.empty()) {
    update(std::string_view("validation"));
    update(arrays.validation.offsets);
    update(arrays.validation.items);
  }
  return digest.hex();
}

dataset::dataset(dataset_arrays given, dataset_origin origin)
    : dataset([&] {
        auto made = std::make_shared<storage>();
        made->owned_user_ids = take_ids(std::move(given.user_ids));
        made->owned_item_ids = take_ids(std::move(given.item_ids));
        made->arrays = std::move(given);
        made->origin = std::move(origin);
        const dataset_arrays& owned = made->arrays;
        if (owned.test_offsets.empty()) made->one_per_user = one_item_per_user(owned.heldout_items.size());
        array_views& arrays = made->arrays_in_use;
        arrays = {.user_offsets = owned.user_offsets,
                  .positive_items = owned.positives_elsewhere.empty() ? std::span(owned.positive_items)
                                                                      : owned.positives_elsewhere,
                  .test = {owned.test_offsets.empty() ? made->one_per_user : owned.test_offsets, owned.heldout_items},
                  .validation = {owned.validation_offsets, owned.validation_items},
                  .user_ids = made->owned_user_ids.view(),
                  .item_ids = made->owned_item_ids.view()};
        check_dataset({"dataset arrays: ", "correct the arrays"}, arrays);
        made->digest = digest_of(arrays);
        return made;
      }()) {}

const std::filesystem::path& dataset::folder() const { return owner_->folder; }

const std::string& dataset::digest() const {
  std::call_once(owner_->digest_once, [&] {
    if (owner_->digest.empty()) owner_->digest = digest_of(owner_->arrays_in_use);  // of a shard
  });
  return owner_->digest;
}

std::int32_t dataset::first_user() const { return owner_->first_user; }

dataset::dataset(std::shared_ptr<storage> made)
    : owner_(made),
      user_offsets_(made->arrays_in_use.user_offsets),
      positive_items_(made->arrays_in_use.positive_items),
      test_(made->arrays_in_use.test),
      validation_(made->arrays_in_use.validation),
      heldout_items_(test_.items),
      user_ids_(made->arrays_in_use.user_ids),
      item_ids_(made->arrays_in_use.item_ids),
      origin_(made->origin) {
  if (has_one_item_per_user(test_)) return;
  made->single_items = single_items(test_);
  heldout_items_ = made->single_items;
}

}  // namespace negpipe
