#include "stored_dataset.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "digest.hpp"
#include "negpipe/error.hpp"

namespace negpipe {

namespace {

dataset_origin read_origin(const support::json_fields& origin, const nlohmann::ordered_json& options) {
  return {.source = origin.text("source"),
          .source_digest = origin.text("source_digest"),
          .options = options.dump(),
          .ties = origin.text("ties"),
          .seed = origin.number_or_text("seed"),
          .row_count = origin.number<std::uint64_t>("rows")};
}

/// Checks the counts of the description: other programs may read nothing else.
void check_counts(const support::json_fields& fields, std::size_t users, std::size_t items, std::size_t positives) {
  const auto check = [&](const char* name, std::size_t found) {
    if (fields.number<std::uint64_t>(name) != found) fields.fail_at(name, std::to_string(found));
  };
  check("users", users);
  check("items", items);
  check("positives", positives);
}

/// Returns offsets that begin with 0, for the rows of a shard.
/// - ends: the shard's values of the whole array; those of the first shard have the leading 0 already.
/// - base: values of the rows in earlier shards.
std::vector<std::int64_t> local_offsets(const folder_reader::shard_of<std::int64_t>& ends, std::uint64_t base) {
  std::vector<std::int64_t> offsets;
  offsets.reserve(ends.values.size() + 1);
  if (ends.first != 0) offsets.push_back(0);
  for (const std::int64_t end : ends.values) {
    offsets.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(end) - base));
  }
  return offsets;
}

}  // namespace

std::shared_ptr<dataset::storage> dataset::stored::read(std::uint64_t map_from_bytes) const {
  const npy::listing listed = description_name == shards_file ? npy::listing{shards_file, shards_remedy}
                                                               : npy::listing{};
  const support::json_fields fields(description, (path / description_name).string(), listed.remedy);
  auto loaded = std::make_shared<storage>();
  loaded->folder = support::full_path(path);
  folder_reader reader(path, fields.object("arrays"), map_from_bytes, loaded->contents, loaded->joined, listed);
  array_views& arrays = loaded->arrays_in_use;
  arrays.user_offsets = reader.get<std::int64_t>("user_offsets");
  arrays.positive_items = reader.get<std::int32_t>("positive_items");
  if (fields.number<std::uint32_t>("format_version") == 1) {
    arrays.test.items = reader.get<std::int32_t>("heldout_items");
    loaded->one_per_user = one_item_per_user(arrays.test.items.size());
    arrays.test.offsets = loaded->one_per_user;
  } else {
    arrays.test = reader.get_rows("test");
    if (reader.has("validation_offsets")) arrays.validation = reader.get_rows("validation");
  }
  arrays.user_ids = reader.get_ids("user_ids");
  arrays.item_ids = reader.get_ids("item_ids");
  const support::json_fields origin = fields.object("origin");
  (void)origin.object("options");
  loaded->origin = read_origin(origin, description["origin"]["options"]);
  if (description_name == shards_file) reader.require_all_read(description["arrays"]);
  check_dataset({(path / "").string(), std::string(listed.remedy)}, arrays);
  check_counts(fields, arrays.user_ids.size(), arrays.item_ids.size(), arrays.positive_items.size());
  if (description_name == description_file) loaded->digest = fields.text("digest");
  return loaded;
}

dataset_shards dataset::stored::shards() const {
  const support::json_fields fields(description, (path / description_name).string(), remedy);
  const support::json_fields positives = fields.object("arrays").object("positive_items");
  if (!positives.contains("shards")) {
    throw option_error(path.string() + " is not in shards; write it with `shards`");
  }
  constexpr std::uint64_t max_ids = std::numeric_limits<std::int32_t>::max();
  dataset_shards found{.user_count = static_cast<std::int32_t>(fields.number<std::uint64_t>("users", max_ids)),
                       .item_count = static_cast<std::int32_t>(fields.number<std::uint64_t>("items", max_ids)),
                       .digest = fields.text("digest")};
  std::uint64_t rest = fields.number<std::uint64_t>("positives");
  for (std::size_t k = 0; k < positives.array("shards").size(); ++k) {
    found.positive_counts.push_back(positives.element("shards", k).number<std::uint64_t>("length", rest));
    rest -= found.positive_counts.back();
  }
  if (rest != 0) fields.fail_at("positives", "the sum of the lengths of \"positive_items\"");
  return found;
}

std::shared_ptr<dataset::storage> dataset::stored::read_shard(std::uint32_t shard, std::uint64_t map_from_bytes) const {
  const std::vector<std::uint64_t> counts = shards().positive_counts;
  if (shard >= counts.size()) {
    throw option_error("shard", fmt::format("{} given, but {} has the shards 0 to {}", shard, path.string(),
                                            counts.size() - 1));
  }
  if (counts[shard] == 0) {
    throw option_error("shard", fmt::format("{} of {} has no training positives; write fewer shards", shard,
                                            path.string()));
  }
  const support::json_fields fields(description, (path / description_name).string(), remedy);
  auto loaded = std::make_shared<storage>();
  loaded->folder = support::full_path(path);
  folder_reader reader(path, fields.object("arrays"), map_from_bytes, loaded->contents, loaded->joined);
  array_views& arrays = loaded->arrays_in_use;
  const auto rows = [&](const std::string& offsets_name, const std::string& items_name,
                        std::vector<std::int64_t>& offsets) {
    const auto items = reader.get_shard<std::int32_t>(items_name, shard, counts.size());
    const auto ends = reader.get_shard<std::int64_t>(offsets_name, shard, counts.size());
    offsets = local_offsets(ends, items.first);
    loaded->first_user = static_cast<std::int32_t>(ends.first == 0 ? 0 : ends.first - 1);
    return user_items{offsets, items.values};
  };
  arrays.test = rows("test_offsets", "test_items", loaded->arrays.test_offsets);
  if (reader.has("validation_offsets")) {
    arrays.validation = rows("validation_offsets", "validation_items", loaded->arrays.validation_offsets);
  }
  const user_items training = rows("user_offsets", "positive_items", loaded->arrays.user_offsets);
  arrays.user_offsets = training.offsets;
  arrays.positive_items = training.items;
  if (reader.has("user_ids")) {
    arrays.user_ids = raw_ids(reader.get_shard<std::int64_t>("user_ids", shard, counts.size()).values);
  } else {
    const auto bytes = reader.get_shard<std::uint8_t>("user_ids_bytes", shard, counts.size());
    std::vector<std::int64_t>& offsets = loaded->owned_user_ids.numbers_or_offsets;
    offsets = local_offsets(reader.get_shard<std::int64_t>("user_ids_offsets", shard, counts.size()), bytes.first);
    arrays.user_ids = raw_ids(offsets, {reinterpret_cast<const char*>(bytes.values.data()), bytes.values.size()});
  }
  arrays.item_ids = reader.get_ids("item_ids");
  loaded->origin = read_origin(fields.object("origin"), description["origin"]["options"]);
  check_dataset({(path / "").string(), std::string(remedy)}, arrays);
  loaded->digest = digest_of(arrays);
  return loaded;
}

}  // namespace negpipe
