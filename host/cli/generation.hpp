// Options that generate and produce share: what is made, and how.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "command.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/sampler.hpp"

namespace negpipe::cli {

enum class distribution_kind : std::uint8_t { uniform, popularity };

/// How negatives are drawn.
struct distribution_arguments {
  distribution_kind kind = distribution_kind::uniform;
  std::optional<double> alpha = {};     ///< of the distribution popularity
  std::filesystem::path weights = {};   ///< an .npy file; empty: none
  double default_alpha;
};

struct generation_arguments {
  common_options common;
  std::filesystem::path dataset_folder;
  std::uint64_t map_from = default_map_from_bytes;
  generate_options options;
  sampler_options sampling;
  evaluation_options evaluation;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> eval_batch_size;  ///< of evaluation; none: its default, rounded to whole rows
  bool no_evaluation = false;
  distribution_arguments negatives{.default_alpha = 0.75};       ///< of training
  distribution_arguments eval_negatives{.default_alpha = 1};     ///< of evaluation
};

/// Adds --map-from, for dataset::load().
void add_map_option(CLI::App& command, std::uint64_t& map_from);

/// Adds --first-cycle, --batch-size and all other shared options.
void add_generation_options(CLI::App& command, generation_arguments& arguments);

/// load_weights() whose errors name the field eval_weights.
item_weights load_eval_weights(const std::filesystem::path& path);

/// Fills arguments.sampling from the other arguments. Draws a seed if none was given. Calls say with notes for the user
/// about the seed, users without evaluation, and --mlperf. Throws option_error, infeasible_error.
void settle_generation(generation_arguments& arguments, const dataset& data,
                       const std::function<void(const std::string&)>& say);

}  // namespace negpipe::cli
