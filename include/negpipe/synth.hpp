// Synthetic datasets of a given shape.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe {

/// The shape of a synthetic dataset.
struct synth_options {
  std::int32_t users = 6040;
  std::int32_t items = 3706;
  std::uint64_t interactions = 1'000'209;  ///< distinct (user, item) pairs, exactly; held-out items included
  std::uint32_t min_ratings = 20;          ///< minimum per user
  std::uint64_t seed = 0;
};

/// Returns a shape by name. Throws option_error for other names.
/// - "ml-1m" (6,040 x 3,706, 1,000,209), "ml-20m" (138,493 x 26,744, 20,000,263)
/// - "ml-20m-16x32": MLPerf's expansion of ml-20m, 2,197,225 x 855,776 with 1,223,962,043 training positives
/// - "vk-lsvd:SCALE": VK-LSVD's 10 M x 19.6 M with 40.8 G pairs, each count times SCALE, a decimal number in (0, 1]
synth_options synth_shape(std::string_view name);

/// Makes a dataset with long-tailed users and items and exact totals. The result depends on the options only.
/// - csv: if not empty, the ratings (user_id,item_id,rating,timestamp) are written there; prepare turns them into the
///   same dataset.
/// - spill: a folder for an unnamed file that holds the positives; empty: they are held in memory. The result is the
///   same. Memory is then bounded by users and items, and by blocks of 16 M pairs.
/// - Throws option_error if the shape is impossible; io_error, interrupted_error.
dataset synthesize(const synth_options& options, const run_control& control = {},
                   const std::filesystem::path& csv = {}, const std::filesystem::path& spill = {});

/// Checks early, before the dataset is made: throws what save_with_ratings would throw for the two paths, such as
/// option_error for a csv that ends in .gz or .parquet: ratings are plain text.
void check_paths(const std::filesystem::path& folder, const std::filesystem::path& csv, bool replace = false);

/// Saves a dataset of synthesize like dataset::save, and its ratings. Both are complete on disk under hidden names
/// before either is renamed; if the second rename fails, the first is undone. Only a process that is killed between the
/// two renames leaves new ratings without their dataset.
/// - Throws option_error if something exists at either path, unless replace is set and it is a dataset or a file;
///   io_error, interrupted_error.
void save_with_ratings(const dataset& data, const std::filesystem::path& folder, const std::filesystem::path& csv,
                       bool replace = false, const run_control& control = {});

}  // namespace negpipe
