// From a ratings file to a dataset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

/// What to do with a (user, item) pair that occurs twice.
enum class duplicate_policy : std::uint8_t { error, first, last };

/// The order of one user's rows of the same second.
enum class tie_order : std::uint8_t {
  file,      ///< as in the file
  shuffled,  ///< pseudo-random from the seed, in place of the unstable sort of the MLPerf reference
};

/// Known datasets whose counts can be checked.
enum class known_dataset : std::uint8_t { ml_1m, ml_20m };

struct prepare_options {
  std::uint32_t min_ratings = 20;  ///< users with fewer rows are dropped
  tie_order ties = tie_order::file;
  duplicate_policy duplicates = duplicate_policy::error;
  std::optional<known_dataset> expect;
  std::uint64_t seed = 0;  ///< only tie_order::shuffled uses it
};

/// What prepare did with the rows it read.
struct prepare_summary {
  std::uint64_t rows_read = 0;
  std::uint64_t duplicates_dropped = 0;
  std::uint64_t users_dropped = 0;
  std::uint64_t rows_dropped = 0;  ///< rows of the dropped users
};

/// Reads ratings and builds the dataset: CSV with a header (any column order, by name; quoted fields),
/// MovieLens .dat ("::", no header) or tab-separated u.data, each also gzip-compressed; LF or CRLF, an optional
/// byte order mark, an optional last newline. Parsing is parallel; the result depends on the file and the options
/// alone.
///
/// In this order: repeated pairs are settled over all rows; users with fewer than min_ratings rows are dropped;
/// users and items are numbered by first appearance in what is left; each user's rows are ordered by time; the
/// last is held out; the rest, sorted by item, are the training positives.
///
/// Ids are numbers of 64 bits in a column where each is written as a whole number, text of any length in others.
///
/// Throws input_error (file, line, what was found and wanted), io_error, option_error, interrupted_error.
dataset prepare(const std::filesystem::path& ratings, const prepare_options& options,
                const run_control& control = {}, prepare_summary* summary = nullptr);

}  // namespace negpipe
