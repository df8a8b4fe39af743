#include "description.hpp"

#include <fmt/format.h>

#include <span>
#include <utility>

#include "digest.hpp"
#include "files.hpp"
#include "folder_reader.hpp"
#include "json_text.hpp"
#include "negpipe/error.hpp"
#include "negpipe/version.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr std::string_view format_name = "negpipe dataset";

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

/// Returns the files of a dataset, of any version or damage, as its description lists them.
std::vector<std::string> files_of(const fs::path& folder) {
  const fs::path path = folder / description_file;
  const std::string text = support::read_text(path, support::max_json_bytes);
  const json description = support::parse_json(text);
  const bool is_ours = description.is_object() && description.value("format", json()) == format_name &&
                       description.value("format_version", json()).is_number_unsigned() &&
                       description.value("arrays", json()).is_object();
  if (!is_ours) throw format_error("it does not describe a dataset");
  std::vector<std::string> files = files_of_arrays(description["arrays"]);
  files.emplace_back(description_file);
  files.emplace_back(shards_file);  // of a join that was killed before it removed the file
  return files;
}

}  // namespace

std::vector<std::string> files_of_arrays(const json& arrays) {
  std::vector<std::string> files;
  for (const auto& [name, array] : arrays.items()) {
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

/// Reads dataset.json, or shards.json, which has no checksum.
json read_description(const fs::path& folder, std::string_view name) {
  const fs::path path = folder / name;
  if (support::is_folder(folder) && !support::exists(path)) {
    const bool is_unjoined = support::exists(folder / shards_file);
    throw format_error(fmt::format("{} has no {}: it is not a dataset{}; give a folder that negpipe prepare wrote",
                                   folder.string(), name,
                                   is_unjoined ? ", but shards of one, which negpipe join makes a dataset" : ""));
  }
  const std::string_view advice = name == shards_file ? shards_remedy : remedy;
  json description = support::read_json(path, advice);
  const support::json_fields fields(description, path.string(), advice);
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

void write_description(const fs::path& folder, json description, const json& arrays) {
  description["arrays"] = arrays;
  description["checksum"] = checksum_of(description);
  support::publish_file(folder / description_file, dump(description, 2) + "\n");
}

}  // namespace negpipe
