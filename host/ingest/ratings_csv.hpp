// Writes ratings of a synthetic dataset to a CSV file.
#pragma once

#include <filesystem>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"
#include "staging.hpp"

namespace negpipe::ingest {

/// An unpublished file of ratings: user_id,item_id,rating,timestamp. Rows are ordered by user; a user's training
/// positives ascend, the held-out item is last, and times increase. Removed unless published.
class staged_ratings {
 public:
  /// Writes the file under a hidden name next to path and syncs it. Throws io_error, interrupted_error.
  staged_ratings(const std::filesystem::path& path, const dataset& data, const run_control& control);

  support::staged_file& file() { return staged_; }

 private:
  support::staged_file staged_;
};

}  // namespace negpipe::ingest
