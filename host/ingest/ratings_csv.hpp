// Ratings of a synthetic dataset as a CSV file.
#pragma once

#include <filesystem>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe::ingest {

/// Writes user_id,item_id,rating,timestamp by user, the training positives ascending and the held-out item last, each
/// row later than the one before. The file appears whole, by rename, and replaces one of its name. Throws io_error,
/// interrupted_error.
void write_ratings_csv(const std::filesystem::path& path, const dataset& data, const run_control& control);

}  // namespace negpipe::ingest
