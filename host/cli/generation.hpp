// What generate and produce have in common: the options that decide what is made, and the backend that makes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "command.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/positives.hpp"

namespace negpipe::cli {

struct generation_arguments {
  common_options common;
  std::filesystem::path dataset_folder;
  generate_options options;
  evaluation_options evaluation;
  std::optional<std::uint64_t> seed;
  std::string device = "auto";
  std::uint64_t bitset_budget_bytes = default_bitset_budget_bytes;
  bool no_evaluation = false;
};

/// Adds --first-cycle, --batch-size and all others that decide what is made, and how.
void add_generation_options(CLI::App& command, generation_arguments& arguments);

/// Fills arguments.options from the rest of the arguments: draws a seed where none was given, and says what the user
/// should know of it and of --mlperf.
void settle_generation(generation_arguments& arguments, const dataset& data,
                       const std::function<void(const std::string&)>& say);

/// What the user is told of a backend: which one it is and why no other.
std::string backend_note(const backend& chosen, const std::string& device);

}  // namespace negpipe::cli
