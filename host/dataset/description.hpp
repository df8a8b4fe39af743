// dataset.json, and shards.json, which describes the same before the shards are joined.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/dataset.hpp"
#include "staging.hpp"

namespace negpipe {

inline constexpr std::string_view shards_file = "shards.json";
inline constexpr std::string_view shards_remedy = "write the shards again";

/// Reads dataset.json, or shards.json, which has no checksum. Checks format, version and checksum. Throws format_error,
/// io_error.
nlohmann::ordered_json read_description(const std::filesystem::path& folder, std::string_view name);

/// Returns the description without arrays and checksum.
nlohmann::ordered_json describe(const dataset& data, bool is_sharded);

/// Writes dataset.json, synced, by rename.
void write_description(const std::filesystem::path& folder, nlohmann::ordered_json description,
                       const nlohmann::ordered_json& arrays);

/// Returns the files of the arrays of a description.
std::vector<std::string> files_of_arrays(const nlohmann::ordered_json& arrays);

/// Returns what an output may replace: nothing, or a dataset.
std::optional<support::folder_kind> replaceable(bool replace);

}  // namespace negpipe
