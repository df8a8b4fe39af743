// What prepare, synth and info say of a dataset.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "negpipe/dataset.hpp"

namespace negpipe::cli {

/// Whether a dataset was made by synth, so that it has no ratings and no ties among them.
bool is_synthetic(const dataset_origin& origin);

/// Share of the (user, item) pairs that are training positives.
double density(const dataset& data);

/// Path, counts and digest.
nlohmann::ordered_json summarize(const dataset& data, const std::filesystem::path& folder);

/// The same as a line for people.
std::string describe(const dataset& data, const std::filesystem::path& folder);

}  // namespace negpipe::cli
