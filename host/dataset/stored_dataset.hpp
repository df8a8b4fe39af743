// A dataset's folder, to be read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "description.hpp"
#include "folder_reader.hpp"
#include "storage.hpp"

namespace negpipe {

/// The folder and its description, which is dataset.json or shards.json. Members throw format_error, io_error.
struct dataset::stored {
  std::filesystem::path path;
  std::string_view description_name = description_file;
  nlohmann::ordered_json description = read_description(path, description_name);

  /// Loads and checks all arrays.
  std::shared_ptr<storage> read(std::uint64_t map_from_bytes) const;
  /// fields: of the description.
  dataset_origin origin(const support::json_fields& fields) const;
};

}  // namespace negpipe
