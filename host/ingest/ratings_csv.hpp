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
  /// Writes them beside their place, to the last byte on disk. Throws io_error, interrupted_error.
  staged_ratings(const std::filesystem::path& path, const dataset& data, const run_control& control);

  /// Renames them to their place. Throws io_error, and option_error if something is there and replace is false.
  void publish(bool replace) { staged_.publish(replace); }
  /// The same in two steps: the renaming, and what makes it durable. The ratings are there also when the second throws.
  void appear(bool replace) { staged_.appear(replace); }
  void settle() { staged_.settle(); }

 private:
  support::staged_file staged_;
};

}  // namespace negpipe::ingest
