// A dataset folder in shards: opened as a whole, loaded shard by shard.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "negpipe/error.hpp"
#include "negpipe/shards.hpp"
#include "stored_dataset.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;

/// Returns offsets that begin with 0, for the rows of a shard.
/// - ends: the shard's values of the whole array.
/// - is_first: the values begin with the leading 0 of the whole array.
/// - base: values of the rows in earlier shards.
std::vector<std::int64_t> local_offsets(std::span<const std::int64_t> ends, bool is_first, std::uint64_t base) {
  std::vector<std::int64_t> offsets;
  offsets.reserve(ends.size() + 1);
  if (!is_first) offsets.push_back(0);
  for (const std::int64_t end : ends) {
    offsets.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(end) - base));
  }
  return offsets;
}

}  // namespace

/// The folder and its description. Members throw format_error, io_error.
struct sharded_dataset::opened {
  dataset::stored source;
  std::uint64_t map_from_bytes;
  support::json_fields fields;
  dataset_origin origin;
  std::map<std::string, shard_list, std::less<>> arrays;  // of users
  std::vector<std::uint64_t> positive_counts;
  std::vector<std::int32_t> first_users;
  std::int32_t item_count;
  std::string digest;
  mutable std::mutex mutex;
  mutable std::shared_ptr<dataset::storage> items;  // item ids; null until the first shard is loaded

  opened(const fs::path& folder, std::uint64_t map_from);

  std::size_t shard_count() const { return positive_counts.size(); }
  std::shared_ptr<dataset::storage> read(std::size_t shard) const;
  void refuse_replaced() const;

 private:
  template <typename T>
  void list(const folder_reader& reader, const std::string& name);
  void list_all();
  void count_users();
  std::shared_ptr<const dataset::storage> shared_items() const;

  folder_reader reader_into(dataset::storage& loaded) const {
    return {source.path, fields.object("arrays"), map_from_bytes, loaded.contents, loaded.joined};
  }
  array_location location() const { return {(source.path / "").string(), std::string(remedy)}; }
};

sharded_dataset::opened::opened(const fs::path& folder, std::uint64_t map_from)
    : source{support::full_path(folder)},
      map_from_bytes(map_from),
      fields(source.description, (source.path / description_file).string(), remedy),
      origin(source.origin(fields)) {
  if (!fields.object("arrays").object("positive_items").contains("shards")) {
    throw option_error(source.path.string() + " is not in shards; write it with `shards`");
  }
  list_all();
  count_users();
  constexpr std::uint64_t max_ids = std::numeric_limits<std::int32_t>::max();
  item_count = static_cast<std::int32_t>(fields.number<std::uint64_t>("items", max_ids));
  digest = fields.text("digest");
  const std::vector<std::uint64_t>& firsts = arrays.at("positive_items").firsts;
  for (std::size_t k = 0; k + 1 < firsts.size(); ++k) positive_counts.push_back(firsts[k + 1] - firsts[k]);
  if (fields.number<std::uint64_t>("positives") != firsts.back()) {
    fields.fail_at("positives", "the sum of the lengths of \"positive_items\"");
  }
}

template <typename T>
void sharded_dataset::opened::list(const folder_reader& reader, const std::string& name) {
  const std::size_t found = arrays.emplace(name, reader.list_shards<T>(name)).first->second.checksums.size();
  if (const std::size_t wanted = arrays.at("positive_items").checksums.size(); found != wanted) {
    fields.object("arrays").object(name).fail(fmt::format("there are {} shards, wanted {}", found, wanted));
  }
}

void sharded_dataset::opened::list_all() {
  dataset::storage none;
  const folder_reader reader = reader_into(none);
  list<std::int32_t>(reader, "positive_items");
  list<std::int64_t>(reader, "user_offsets");
  for (const std::string set : {"test", "validation"}) {
    if (set == "validation" && !reader.has("validation_offsets")) continue;
    list<std::int64_t>(reader, set + "_offsets");
    list<std::int32_t>(reader, set + "_items");
  }
  if (reader.has("user_ids")) return list<std::int64_t>(reader, "user_ids");
  list<std::int64_t>(reader, "user_ids_offsets");
  list<std::uint8_t>(reader, "user_ids_bytes");
}

void sharded_dataset::opened::count_users() {
  constexpr std::uint64_t max_ids = std::numeric_limits<std::int32_t>::max();
  const shard_list& offsets = arrays.at("user_offsets");  // with a leading 0
  if (offsets.count() != fields.number<std::uint64_t>("users", max_ids) + 1) {
    fields.fail_at("users", "one less than the length of \"user_offsets\"");
  }
  for (const std::uint64_t first : offsets.firsts) {
    first_users.push_back(static_cast<std::int32_t>(first == 0 ? 0 : first - 1));
  }
}

std::shared_ptr<const dataset::storage> sharded_dataset::opened::shared_items() const {
  const std::lock_guard lock(mutex);
  if (items) return items;
  auto loaded = std::make_shared<dataset::storage>();
  loaded->arrays_in_use.item_ids = reader_into(*loaded).get_ids("item_ids");
  const raw_ids& ids = loaded->arrays_in_use.item_ids;
  check_ids(location(), "item_ids", ids);
  if (ids.size() != static_cast<std::size_t>(item_count)) fields.fail_at("items", std::to_string(ids.size()));
  return items = std::move(loaded);
}

std::shared_ptr<dataset::storage> sharded_dataset::opened::read(std::size_t shard) const {
  auto loaded = std::make_shared<dataset::storage>();
  loaded->folder = source.path;
  loaded->first_user = first_users[shard];
  loaded->origin = origin;
  loaded->items = shared_items();
  folder_reader reader = reader_into(*loaded);
  const auto read_offsets = [&](const std::string& name, const shard_list& of, std::vector<std::int64_t>& offsets) {
    const shard_list& list = arrays.at(name);
    const auto ends = reader.get_shard<std::int64_t>(name, list, shard);
    offsets = local_offsets(ends, list.firsts[shard] == 0, of.firsts[shard]);
  };
  const auto rows = [&](const std::string& offsets_name, const std::string& items_name,
                        std::vector<std::int64_t>& offsets) {
    const shard_list& list = arrays.at(items_name);
    read_offsets(offsets_name, list, offsets);
    return user_items{offsets, reader.get_shard<std::int32_t>(items_name, list, shard)};
  };
  array_views& views = loaded->arrays_in_use;
  const user_items training = rows("user_offsets", "positive_items", loaded->arrays.user_offsets);
  views.user_offsets = training.offsets;
  views.positive_items = training.items;
  views.test = rows("test_offsets", "test_items", loaded->arrays.test_offsets);
  if (reader.has("validation_offsets")) {
    views.validation = rows("validation_offsets", "validation_items", loaded->arrays.validation_offsets);
  }
  if (reader.has("user_ids")) {
    views.user_ids = raw_ids(reader.get_shard<std::int64_t>("user_ids", arrays.at("user_ids"), shard));
  } else {
    const shard_list& list = arrays.at("user_ids_bytes");
    const auto bytes = reader.get_shard<std::uint8_t>("user_ids_bytes", list, shard);
    std::vector<std::int64_t>& offsets = loaded->owned_user_ids.numbers_or_offsets;
    read_offsets("user_ids_offsets", list, offsets);
    views.user_ids = raw_ids(offsets, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  views.item_ids = loaded->items->arrays_in_use.item_ids;
  check_shard(location(), views);
  return loaded;
}

/// Throws format_error if the folder has another dataset by now, or the same in other shards.
void sharded_dataset::opened::refuse_replaced() const {
  std::string other;
  std::size_t shards = 0;  // in one piece
  try {
    const nlohmann::ordered_json found = read_description(source.path, description_file);
    const support::json_fields described(found, (source.path / description_file).string(), remedy);
    const support::json_fields positives = described.object("arrays").object("positive_items");
    if (found["arrays"] == source.description["arrays"]) return;
    other = described.text("digest");
    if (positives.contains("shards")) shards = positives.array("shards").size();
  } catch (const error&) {
    return;  // removed or damaged
  }
  throw format_error(fmt::format("{} was replaced: its digest is {} in {} shards, and was {} in {} shards; open it "
                                 "again",
                                 source.path.string(), other, shards, digest, shard_count()));
}

sharded_dataset::sharded_dataset(const fs::path& folder, std::uint64_t map_from_bytes)
    : opened_(std::make_shared<const opened>(folder, map_from_bytes)) {}

std::uint32_t sharded_dataset::shard_count() const { return static_cast<std::uint32_t>(opened_->shard_count()); }
std::int32_t sharded_dataset::user_count() const { return opened_->first_users.back(); }
std::int32_t sharded_dataset::item_count() const { return opened_->item_count; }
std::uint64_t sharded_dataset::positive_count() const { return opened_->arrays.at("positive_items").count(); }
std::span<const std::uint64_t> sharded_dataset::positive_counts() const { return opened_->positive_counts; }
std::span<const std::int32_t> sharded_dataset::first_users() const { return opened_->first_users; }
const std::string& sharded_dataset::digest() const { return opened_->digest; }
const fs::path& sharded_dataset::folder() const { return opened_->source.path; }

dataset sharded_dataset::load(std::uint32_t shard) const {
  const std::string path = folder().string();
  if (shard >= shard_count()) {
    throw option_error("shard", fmt::format("{} given, but {} has the shards 0 to {}", shard, path, shard_count() - 1));
  }
  if (positive_counts()[shard] == 0) {
    throw option_error("shard", fmt::format("{} of {} has no training positives; write fewer shards", shard, path));
  }
  try {
    return dataset(opened_->read(shard));
  } catch (const error&) {
    opened_->refuse_replaced();  // a clearer message than that of a checksum
    throw;
  }
}

std::vector<std::uint64_t> sharded_dataset::count_items() const {
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(item_count()), 0);
  for (std::uint32_t k = 0; k < shard_count(); ++k) {
    if (positive_counts()[k] == 0) continue;
    const dataset part = load(k);
    for (const std::int32_t item : part.positive_items()) ++counts[static_cast<std::size_t>(item)];
  }
  return counts;
}

}  // namespace negpipe
