#include "stored_dataset.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "digest.hpp"
#include "negpipe/error.hpp"

namespace negpipe {

namespace {

/// Checks the counts of the description: other programs may read nothing else.
void check_counts(const support::json_fields& fields, std::size_t users, std::size_t items, std::size_t positives) {
  const auto check = [&](const char* name, std::size_t found) {
    if (fields.number<std::uint64_t>(name) != found) fields.fail_at(name, std::to_string(found));
  };
  check("users", users);
  check("items", items);
  check("positives", positives);
}

}  // namespace

dataset_origin dataset::stored::origin(const support::json_fields& fields) const {
  const support::json_fields origin = fields.object("origin");
  (void)origin.object("options");
  return {.source = origin.text("source"),
          .source_digest = origin.text("source_digest"),
          .options = description["origin"]["options"].dump(),
          .ties = origin.text("ties"),
          .seed = origin.number_or_text("seed"),
          .row_count = origin.number<std::uint64_t>("rows")};
}

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
  loaded->origin = origin(fields);
  if (description_name == shards_file) reader.require_all_read(description["arrays"]);
  check_dataset({(path / "").string(), std::string(listed.remedy)}, arrays);
  check_counts(fields, arrays.user_ids.size(), arrays.item_ids.size(), arrays.positive_items.size());
  if (description_name == description_file) loaded->digest = fields.text("digest");
  return loaded;
}

}  // namespace negpipe
