// Summary of a dataset, which prepare, synth and info print.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "negpipe/dataset.hpp"

namespace negpipe::cli {

/// Returns whether a dataset was made by synth. Such a dataset has no ratings, so ties do not concern it.
bool is_synthetic(const dataset_origin& origin);

/// Returns the share of (user, item) pairs that are training positives.
double density(const dataset& data);

/// Returns path, counts and digest as JSON.
nlohmann::ordered_json summarize(const dataset& data, const std::filesystem::path& folder);

/// Returns path, counts and density as a line of text.
std::string describe(const dataset& data, const std::filesystem::path& folder);

}  // namespace negpipe::cli
