// Synthetic datasets of a given shape.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

/// The shape of a synthetic dataset: interactions counts held-out items too.
struct synth_options {
  std::int32_t users = 6040;
  std::int32_t items = 3706;
  std::uint64_t interactions = 1'000'209;  ///< exactly so many distinct (user, item) pairs
  std::uint32_t min_ratings = 20;          ///< every user has at least so many
  std::uint64_t seed = 0;
};

/// Shapes by name: "ml-1m" (6,040 x 3,706, 1,000,209) and "ml-20m" (138,493 x 26,744, 20,000,263). Throws
/// option_error for others.
synth_options synth_shape(std::string_view name);

/// A dataset with long-tailed users and items and exact totals; a function of the options alone. With a csv path it
/// also writes the ratings (user_id,item_id,rating,timestamp) that prepare turns into the same dataset. Throws
/// option_error when the shape cannot be had, io_error, interrupted_error.
dataset synthesize(const synth_options& options, const run_control& control = {},
                   const std::filesystem::path& csv = {});

/// Throws what save_with_ratings would throw for what is at the two paths, before the work of making a dataset.
void check_paths(const std::filesystem::path& folder, const std::filesystem::path& csv, bool replace = false);

/// Saves a dataset of synthesize as dataset::save does, and the same ratings. The ratings appear first, then the
/// folder: when that cannot appear, or the process is killed between, the new ratings are there without it. Throws
/// option_error when something exists at one of the paths, unless replace is true and it is a dataset or a file;
/// io_error, interrupted_error.
void save_with_ratings(const dataset& data, const std::filesystem::path& folder, const std::filesystem::path& csv,
                       bool replace = false, const run_control& control = {});

}  // namespace negpipe
