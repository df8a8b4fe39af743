// Ratings of a synthetic dataset as a CSV file.
#pragma once

#include <filesystem>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"
#include "staging.hpp"

namespace negpipe::ingest {

/// A file of ratings in the making: user_id,item_id,rating,timestamp by user, the training positives ascending and the
/// held-out item last, each row later than the one before. Without publish() nothing is left of it.
class staged_ratings {
 public:
  /// Writes them beside their path, to the last byte on disk. Throws io_error, interrupted_error.
  staged_ratings(const std::filesystem::path& path, const dataset& data, const run_control& control);

  /// Renames them to their path. Throws io_error, and option_error if something is there that may not be replaced.
  void publish(bool replace) { staged_.publish(replace); }

 private:
  support::staged_file staged_;
};

}  // namespace negpipe::ingest
