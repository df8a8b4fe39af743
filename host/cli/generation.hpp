// What generate and produce have in common: the options that decide what is made, and how.
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

struct generation_arguments {
  common_options common;
  std::filesystem::path dataset_folder;
  generate_options options;
  sampler_options sampling;
  evaluation_options evaluation;
  std::optional<std::uint64_t> seed;
  bool no_evaluation = false;
};

/// Adds --first-cycle, --batch-size and all others that decide what is made, and how.
void add_generation_options(CLI::App& command, generation_arguments& arguments);

/// Fills arguments.sampling from the rest of the arguments: draws a seed where none was given, and says what the user
/// should know of it and of --mlperf.
void settle_generation(generation_arguments& arguments, const dataset& data,
                       const std::function<void(const std::string&)>& say);

}  // namespace negpipe::cli
