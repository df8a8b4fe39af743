// A dataset on disk: dataset.json and its arrays.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "digest.hpp"
#include "json_text.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/error.hpp"
#include "negpipe/version.hpp"
#include "npy_file.hpp"
#include "staged_dataset.hpp"
#include "staging.hpp"
#include "storage.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr std::string_view format_name = "negpipe dataset";
constexpr std::string_view description_file = "dataset.json";
constexpr std::string_view remedy = "prepare the dataset again";

std::string hex(std::uint32_t crc) { return fmt::format("{:08x}", crc); }

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
  for (const auto& [name, array] : description["arrays"].items()) files.push_back(name + ".npy");
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
    npy::write(folder_ / (name + ".npy"), values);
    arrays_[name] = {{"dtype", npy::descriptor<T>()},
                     {"length", values.size()},
                     {"crc32c", hex(support::crc32c(std::as_bytes(values)))}};
  }

  void add_rows(const std::string& name, const user_items& rows) {
    add(name + "_offsets", rows.offsets);
    add(name + "_items", rows.items);
  }

  void add_ids(const std::string& name, const raw_ids& ids) {
    if (ids.is_text()) {
      add(name + "_offsets", ids.numbers_or_offsets());
      add(name + "_bytes", std::span(reinterpret_cast<const std::uint8_t*>(ids.bytes().data()), ids.bytes().size()));
    } else {
      add(name, ids.numbers_or_offsets());
    }
  }

  json arrays() const { return arrays_; }

 private:
  fs::path folder_;
  json arrays_ = json::object();
};

json describe(const dataset& data) {
  const dataset_origin& origin = data.origin();
  return {{"format", format_name},
          {"format_version", dataset_format_version},
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

json read_description(const fs::path& folder) {
  const fs::path path = folder / description_file;
  if (support::is_folder(folder) && !support::exists(path)) {
    throw format_error(fmt::format("{} has no {}: it is not a dataset; give a folder that negpipe prepare wrote",
                                   folder.string(), description_file));
  }
  json description = support::read_json(path, remedy);
  const support::json_fields fields(description, path.string(), remedy);
  if (!fields.contains("format") || fields.text("format") != format_name) {
    fields.fail("it does not describe a dataset");
  }
  const auto version = fields.number<std::uint32_t>("format_version");
  if (version == 0 || version > dataset_format_version) {
    throw format_error(
        fmt::format("{}: its format is version {}, this program reads versions 1 to {}; prepare the dataset again with "
                    "this program, or use the program that wrote it",
                    path.string(), version, dataset_format_version));
  }
  if (const std::string wanted = checksum_of(description); hex(fields.checksum("checksum")) != wanted) {
    fields.fail(fmt::format("its checksum is {}, wanted {}: the file was damaged or changed", fields.text("checksum"),
                            wanted));
  }
  return description;
}

class folder_reader {
 public:
  folder_reader(fs::path folder, support::json_fields arrays, std::uint64_t map_from_bytes,
                std::vector<support::file_contents>& contents)
      : folder_(std::move(folder)),
        arrays_(std::move(arrays)),
        map_from_bytes_(map_from_bytes),
        contents_(contents) {}

  template <typename T>
  std::span<const T> get(const std::string& name) {
    const support::json_fields entry = arrays_.object(name);
    const auto count = entry.number<std::uint64_t>("length");
    const fs::path path = folder_ / (name + ".npy");
    if (!support::exists(path)) {
      throw format_error(fmt::format("{} is missing, but {} lists it; {}", path.string(), description_file, remedy));
    }
    const support::file_contents& file =
        contents_.emplace_back(npy::read_file(path, npy::descriptor<T>(), count, sizeof(T), map_from_bytes_));
    const auto bytes = npy::values_of(file, path, npy::descriptor<T>(), count, sizeof(T));
    if (const std::uint32_t crc = support::crc32c(bytes); crc != entry.checksum("crc32c")) {
      throw format_error(fmt::format("{}: its checksum is {}, wanted {}: the file was damaged or changed; {}",
                                     path.string(), hex(crc), entry.text("crc32c"), remedy));
    }
    return {reinterpret_cast<const T*>(bytes.data()), static_cast<std::size_t>(count)};
  }

  bool has(const std::string& name) const { return arrays_.contains(name); }

  user_items get_rows(const std::string& name) {
    return {get<std::int64_t>(name + "_offsets"), get<std::int32_t>(name + "_items")};
  }

  raw_ids get_ids(const std::string& name) {
    if (arrays_.contains(name)) return raw_ids(get<std::int64_t>(name));
    const auto offsets = get<std::int64_t>(name + "_offsets");
    const auto bytes = get<std::uint8_t>(name + "_bytes");
    return raw_ids(offsets, std::span(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }

 private:
  fs::path folder_;
  support::json_fields arrays_;
  std::uint64_t map_from_bytes_;
  std::vector<support::file_contents>& contents_;
};

dataset_origin read_origin(const support::json_fields& origin, const json& options) {
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

}  // namespace

void dataset::check_path(const fs::path& folder, bool replace, const fs::path& kept) {
  if (!kept.empty() && support::lies_in(kept, folder)) {
    throw option_error(
        fmt::format("{} lies in {}, which the dataset replaces as a whole; choose another path for one",
                    kept.string(), folder.string()));
  }
  support::check_output_folder(folder, replaceable(replace));
}

staged_dataset::staged_dataset(const dataset& data, const fs::path& folder, bool replace)
    : staged_(folder, replaceable(replace)) {
  folder_writer writer(staged_.path());
  writer.add("user_offsets", data.user_offsets());
  writer.add("positive_items", data.positive_items());
  writer.add_rows("test", data.heldout(heldout_set::test));
  if (data.has_validation()) writer.add_rows("validation", data.heldout(heldout_set::validation));
  writer.add_ids("user_ids", data.user_ids());
  writer.add_ids("item_ids", data.item_ids());
  json description = describe(data);
  description["arrays"] = writer.arrays();
  description["checksum"] = checksum_of(description);
  support::publish_file(staged_.path() / description_file, dump(description, 2) + "\n");
}

void dataset::save(const fs::path& folder, bool replace) const {
  staged_dataset staged(*this, folder, replace);
  staged.take_path();
  staged.settle();
}

void dataset::check_unchanged() const {
  for (const support::file_contents& contents : owner_->contents) {
    const auto& mapping = contents.mapping();
    if (!mapping || mapping->is_unchanged()) continue;
    throw io_error(mapping->path().string() + " was changed while it was in use, so what was made from it may be "
                                              "wrong; restore the dataset and run again");
  }
}

dataset dataset::load(const fs::path& folder, std::uint64_t map_from_bytes) {
  const json description = read_description(folder);
  const support::json_fields fields(description, (folder / description_file).string(), remedy);
  auto loaded = std::make_shared<storage>();
  loaded->folder = support::full_path(folder);
  folder_reader reader(folder, fields.object("arrays"), map_from_bytes, loaded->contents);
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
  loaded->digest = fields.text("digest");
  check_dataset({(folder / "").string(), std::string(remedy)}, arrays);
  check_counts(fields, arrays.user_ids.size(), arrays.item_ids.size(), arrays.positive_items.size());
  return dataset(std::move(loaded));
}

}  // namespace negpipe
