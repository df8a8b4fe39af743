#include "negpipe/dataset.hpp"

#include <array>
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

std::string digest_of(std::span<const std::int64_t> user_offsets, std::span<const std::int32_t> positive_items,
                      std::span<const std::int32_t> heldout_items, std::uint64_t item_count) {
  support::md5 digest;
  const std::array<std::uint64_t, 3> counts{heldout_items.size(), item_count, positive_items.size()};
  digest.update(std::as_bytes(std::span(counts)));
  digest.update(std::as_bytes(user_offsets));
  digest.update(std::as_bytes(positive_items));
  digest.update(std::as_bytes(heldout_items));
  return digest.hex();
}

dataset::dataset(dataset_arrays arrays, dataset_origin origin)
    : dataset([&] {
        auto made = std::make_shared<storage>();
        made->owned_user_ids = take_ids(std::move(arrays.user_ids));
        made->owned_item_ids = take_ids(std::move(arrays.item_ids));
        made->arrays = std::move(arrays);
        made->user_offsets = made->arrays.user_offsets;
        made->positive_items = made->arrays.positive_items;
        made->heldout_items = made->arrays.heldout_items;
        made->user_ids = made->owned_user_ids.view();
        made->item_ids = made->owned_item_ids.view();
        made->origin = std::move(origin);
        check_dataset({"dataset arrays: ", "correct the arrays"}, made->user_offsets, made->positive_items,
                      made->heldout_items, made->user_ids, made->item_ids);
        made->digest = digest_of(made->user_offsets, made->positive_items, made->heldout_items, made->item_ids.size());
        return made;
      }()) {}

const std::filesystem::path& dataset::folder() const { return owner_->folder; }

dataset::dataset(std::shared_ptr<const storage> owner)
    : owner_(std::move(owner)),
      user_offsets_(owner_->user_offsets),
      positive_items_(owner_->positive_items),
      heldout_items_(owner_->heldout_items),
      user_ids_(owner_->user_ids),
      item_ids_(owner_->item_ids),
      origin_(owner_->origin),
      digest_(owner_->digest) {}

}  // namespace negpipe
