// A dataset on disk: dataset.json and its arrays.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "digest.hpp"
#include "folder_reader.hpp"
#include "json_text.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/error.hpp"
#include "negpipe/version.hpp"
#include "npy_file.hpp"
#include "removal.hpp"
#include "staged_dataset.hpp"
#include "staging.hpp"
#include "storage.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr std::string_view format_name = "negpipe dataset";
constexpr std::string_view shards_file = "shards.json";  // of a folder that is not joined yet

// File names need not be UTF-8, but JSON text must be.
std::string dump(const json& value, int indent = -1) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

/// Returns the checksum of dataset.json: of its text without the checksum, as the JSON library prints it.
std::string checksum_of(json description) {
  description.erase("checksum");
  const std::string text = dump(description);
  return hex(support::crc32c(std::as_bytes(std::span(text))));
}

// ---- replacing

/// Returns the files of a dataset, of any version or damage, as its description lists them.
std::vector<std::string> files_of(const fs::path& folder) {
  const fs::path path = folder / description_file;
  const std::string text = support::read_text(path, support::max_json_bytes);
  const json description = support::parse_json(text);
  const bool is_ours = description.is_object() && description.value("format", json()) == format_name &&
                       description.value("format_version", json()).is_number_unsigned() &&
                       description.value("arrays", json()).is_object();
  if (!is_ours) throw format_error("it does not describe a dataset");
  std::vector<std::string> files{std::string(description_file)};
  for (const auto& [name, array] : description["arrays"].items()) {
    const std::size_t shards = array.is_object() ? array.value("shards", json::array()).size() : 0;
    if (shards == 0) files.push_back(file_of(name));
    for (std::size_t k = 0; k < shards; ++k) files.push_back(file_of(name, k));
  }
  return files;
}

std::optional<support::folder_kind> replaceable(bool replace) {
  if (!replace) return {};
  return support::folder_kind{"a dataset", description_file, files_of};
}

// ---- writing

class folder_writer {
 public:
  explicit folder_writer(const fs::path& folder) : folder_(folder) {}

  template <typename T>
  void add(const std::string& name, std::span<const T> values) {
    npy::write(folder_ / file_of(name), values);
    arrays_[name] = {{"dtype", npy::descriptor<T>()},
                     {"length", values.size()},
                     {"crc32c", hex(support::crc32c(std::as_bytes(values)))}};
  }

  /// Writes an array in shards. Shard k has the values below ends[k].
  template <typename T>
  void add(const std::string& name, std::span<const T> values, const std::vector<std::size_t>& ends) {
    if (ends.empty()) return add(name, values);
    json shards = json::array();
    for (std::size_t k = 0, first = 0; k < ends.size(); first = ends[k++]) {
      const auto shard = values.subspan(first, ends[k] - first);
      npy::write_bytes(folder_ / file_of(name, k),
                       npy::make_part_header(npy::descriptor<T>(), shard.size(), first * sizeof(T)),
                       std::as_bytes(shard));
      shards.push_back({{"length", shard.size()}, {"crc32c", hex(support::crc32c(std::as_bytes(shard)))}});
    }
    arrays_[name] = {{"dtype", npy::descriptor<T>()}, {"length", values.size()}, {"shards", shards}};
  }

  /// Writes the rows of users. past: the user after the last of each shard; empty for one file an array.
  void add_rows(const std::string& offsets_name, const std::string& items_name, const user_items& rows,
                const std::vector<std::size_t>& past) {
    add(offsets_name, rows.offsets, ends_of_offsets(past));
    add(items_name, rows.items, values_at(rows.offsets, past));
  }

  void add_user_ids(const raw_ids& ids, const std::vector<std::size_t>& past) {
    if (!ids.is_text()) return add("user_ids", ids.numbers_or_offsets(), past);
    add("user_ids_offsets", ids.numbers_or_offsets(), ends_of_offsets(past));
    add("user_ids_bytes", bytes_of(ids), values_at(ids.numbers_or_offsets(), past));
  }

  void add_ids(const std::string& name, const raw_ids& ids) {
    if (ids.is_text()) {
      add(name + "_offsets", ids.numbers_or_offsets());
      add(name + "_bytes", bytes_of(ids));
    } else {
      add(name, ids.numbers_or_offsets());
    }
  }

  json arrays() const { return arrays_; }

 private:
  static std::span<const std::uint8_t> bytes_of(const raw_ids& ids) {
    return {reinterpret_cast<const std::uint8_t*>(ids.bytes().data()), ids.bytes().size()};
  }

  // The first shard of offsets has their leading 0.
  static std::vector<std::size_t> ends_of_offsets(std::vector<std::size_t> past) {
    for (std::size_t& user : past) ++user;
    return past;
  }

  static std::vector<std::size_t> values_at(std::span<const std::int64_t> offsets,
                                            const std::vector<std::size_t>& past) {
    std::vector<std::size_t> values;
    for (const std::size_t user : past) values.push_back(static_cast<std::size_t>(offsets[user]));
    return values;
  }

  fs::path folder_;
  json arrays_ = json::object();
};

/// Returns the user after the last of each shard.
std::vector<std::size_t> shards_of(std::span<const std::int64_t> user_offsets, std::uint32_t shard_count) {
  std::vector<std::size_t> past;
  const auto positives = static_cast<std::uint64_t>(user_offsets.back());
  for (std::uint64_t k = 1; k <= shard_count; ++k) {
    const auto wanted =
        static_cast<std::int64_t>(positives / shard_count * k + positives % shard_count * k / shard_count);
    past.push_back(static_cast<std::size_t>(std::ranges::lower_bound(user_offsets, wanted) - user_offsets.begin()));
  }
  if (!past.empty()) past.back() = user_offsets.size() - 1;  // with users at the end who have no positives
  return past;
}

json describe(const dataset& data, bool is_sharded) {
  const dataset_origin& origin = data.origin();
  return {{"format", format_name},
          {"format_version", is_sharded ? sharded_dataset_format_version : dataset_format_version},
          {"written_by", fmt::format("negpipe {}", library_version)},
          {"users", data.user_count()},
          {"items", data.item_count()},
          {"positives", data.positive_count()},
          {"digest", data.digest()},
          {"origin",
           {{"source", origin.source},
            {"source_digest", origin.source_digest},
            {"options", origin.options.empty() ? json::object() : json::parse(origin.options)},
            {"ties", origin.ties},
            {"seed", std::to_string(origin.seed)},
            {"rows", origin.row_count}}}};
}

// ---- reading

/// Reads dataset.json, or shards.json, which has no checksum.
json read_description(const fs::path& folder, std::string_view name) {
  const fs::path path = folder / name;
  if (support::is_folder(folder) && !support::exists(path)) {
    const bool is_unjoined = support::exists(folder / shards_file);
    throw format_error(fmt::format("{} has no {}: it is not a dataset{}; give a folder that negpipe prepare wrote",
                                   folder.string(), name,
                                   is_unjoined ? ", but shards of one, which negpipe join makes a dataset" : ""));
  }
  json description = support::read_json(path, remedy);
  const support::json_fields fields(description, path.string(), remedy);
  if (!fields.contains("format") || fields.text("format") != format_name) {
    fields.fail("it does not describe a dataset");
  }
  const auto version = fields.number<std::uint32_t>("format_version");
  if (version == 0 || version > sharded_dataset_format_version) {
    throw format_error(
        fmt::format("{}: its format is version {}, this program reads versions 1 to {}; prepare the dataset again with "
                    "this program, or use the program that wrote it",
                    path.string(), version, sharded_dataset_format_version));
  }
  if (name == shards_file) return description;
  if (const std::string wanted = checksum_of(description); hex(fields.checksum("checksum")) != wanted) {
    fields.fail(fmt::format("its checksum is {}, wanted {}: the file was damaged or changed", fields.text("checksum"),
                            wanted));
  }
  return description;
}

dataset_origin read_origin(const support::json_fields& origin, const json& options) {
  return {.source = origin.text("source"),
          .source_digest = origin.text("source_digest"),
          .options = options.dump(),
          .ties = origin.text("ties"),
          .seed = origin.number_or_text("seed"),
          .row_count = origin.number<std::uint64_t>("rows")};
}

void write_description(const fs::path& folder, json description, const json& arrays) {
  description["arrays"] = arrays;
  description["checksum"] = checksum_of(description);
  support::publish_file(folder / description_file, dump(description, 2) + "\n");
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

}  // namespace

void dataset::check_path(const fs::path& folder, bool replace, const fs::path& kept) {
  if (!kept.empty() && support::lies_in(kept, folder)) {
    throw option_error(
        fmt::format("{} lies in {}, which the dataset replaces as a whole; choose another path for one",
                    kept.string(), folder.string()));
  }
  support::check_output_folder(folder, replaceable(replace));
}

/// Loads the arrays of a folder.
struct dataset::stored {
  fs::path path;
  std::string_view description_name;
  json description = read_description(path, description_name);

  std::shared_ptr<storage> read(std::uint64_t map_from_bytes) const {
    const support::json_fields fields(description, (path / description_name).string(), remedy);
    auto loaded = std::make_shared<storage>();
    loaded->folder = support::full_path(path);
    folder_reader reader(path, fields.object("arrays"), map_from_bytes, loaded->contents, loaded->joined);
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
    check_dataset({(path / "").string(), std::string(remedy)}, arrays);
    check_counts(fields, arrays.user_ids.size(), arrays.item_ids.size(), arrays.positive_items.size());
    if (description_name == description_file) loaded->digest = fields.text("digest");
    return loaded;
  }
};

staged_dataset::staged_dataset(const dataset& data, const fs::path& folder, bool replace, std::uint32_t shard_count)
    : staged_(folder, replaceable(replace)) {
  folder_writer writer(staged_.path());
  const std::vector<std::size_t> past = shards_of(data.user_offsets(), shard_count);
  const auto add = [&](const std::string& offsets, const std::string& items, const user_items& rows) {
    writer.add_rows(offsets, items, rows, past);
  };
  add("user_offsets", "positive_items", {data.user_offsets(), data.positive_items()});
  add("test_offsets", "test_items", data.heldout(heldout_set::test));
  if (data.has_validation()) add("validation_offsets", "validation_items", data.heldout(heldout_set::validation));
  writer.add_user_ids(data.user_ids(), past);
  writer.add_ids("item_ids", data.item_ids());
  write_description(staged_.path(), describe(data, shard_count != 0), writer.arrays());
}

void dataset::save(const fs::path& folder, bool replace, std::uint32_t shard_count) const {
  if (shard_count > max_shards) {
    throw option_error("shards", fmt::format("is {}, wanted at most {}", shard_count, max_shards));
  }
  staged_dataset staged(*this, folder, replace, shard_count);
  staged.take_path();
  staged.settle();
}

namespace {

/// Throws format_error if two users, or two items, have the same id.
void require_distinct(const raw_ids& ids, std::string_view name, const fs::path& path) {
  std::vector<std::size_t> order(ids.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto text = [&ids](std::size_t i) {
    const auto offsets = ids.numbers_or_offsets();
    return std::string_view(ids.bytes().data() + offsets[i], static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
  };
  const auto less = [&](std::size_t a, std::size_t b) {
    return ids.is_text() ? text(a) < text(b) : ids.numbers_or_offsets()[a] < ids.numbers_or_offsets()[b];
  };
  std::ranges::sort(order, less);
  const auto found = std::ranges::adjacent_find(order, [&](std::size_t a, std::size_t b) { return !less(a, b); });
  if (found == order.end()) return;
  throw format_error(fmt::format("{}: {} {} and {} are both {}; write each id once", path.string(), name,
                                 std::min(found[0], found[1]), std::max(found[0], found[1]), ids.to_string(*found)));
}

}  // namespace

void dataset::join(const fs::path& shards, const fs::path& folder, bool replace) {
  check_path(folder, replace);
  const fs::path unjoined = shards / shards_file;
  if (support::exists(unjoined)) {
    stored source{shards, shards_file};
    const std::shared_ptr<storage> loaded = source.read(/*map_from_bytes=*/0);
    loaded->digest = digest_of(loaded->arrays_in_use);
    const dataset joined{std::shared_ptr<storage>(loaded)};
    require_distinct(joined.user_ids(), "users", unjoined);
    require_distinct(joined.item_ids(), "items", unjoined);
    write_description(shards, describe(joined, /*is_sharded=*/true), source.description["arrays"]);
    support::remove_hidden_tree(unjoined);
  } else {
    (void)read_description(shards, description_file);  // an earlier call was interrupted before the rename
  }
  support::staged_folder(support::staged_folder::adopted{support::full_path(shards)}, folder, replaceable(replace))
      .publish();
}

void dataset::check_unchanged() const {
  const auto fail = [](const fs::path& path) {
    throw io_error(path.string() + " was changed while it was in use, so what was made from it may be wrong; restore "
                                   "the dataset and run again");
  };
  for (const support::file_contents& contents : owner_->contents) {
    if (const auto& mapping = contents.mapping(); mapping && !mapping->is_unchanged()) fail(mapping->path());
  }
  for (const support::joined_files& joined : owner_->joined) {
    if (const auto changed = joined.find_changed()) fail(*changed);
  }
}

dataset dataset::load(const fs::path& path, std::uint64_t map_from_bytes) {
  return dataset(stored{path, description_file}.read(map_from_bytes));
}

}  // namespace negpipe
