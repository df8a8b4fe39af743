#include "part.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "negpipe/error.hpp"

namespace negpipe::cli {

namespace {

std::optional<std::uint32_t> number_in(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

std::uint32_t variable(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) throw option_error("part", fmt::format("auto: the environment has no {}", name));
  if (const auto number = number_in(text)) return *number;
  throw option_error("part", fmt::format("auto: {} is {}, a whole number wanted", name, text));
}

std::uint32_t variable_or(const char* name, std::uint32_t missing) {
  return std::getenv(name) == nullptr ? missing : variable(name);
}

/// Slurm arrays count from the number that --array begins with, in steps.
run_part part_of_slurm_array() {
  const std::uint32_t id = variable("SLURM_ARRAY_TASK_ID");
  const std::uint32_t count = variable("SLURM_ARRAY_TASK_COUNT");
  const std::uint32_t first = variable("SLURM_ARRAY_TASK_MIN");
  const std::uint32_t step = std::max<std::uint32_t>(1, variable_or("SLURM_ARRAY_TASK_STEP", 1));
  const bool is_regular = id >= first && (id - first) % step == 0 && (id - first) / step < count &&
                          (variable("SLURM_ARRAY_TASK_MAX") - first) / step + 1 == count;
  if (!is_regular) {
    throw option_error("part", "auto: the task numbers of the Slurm array have gaps; submit a range such as "
                               "--array=0-7, or give I/N");
  }
  return {(id - first) / step, count};
}

struct launcher {
  const char* name;
  const char* index;
  const char* count;
};
constexpr launcher launchers[] = {{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                  {"PMI", "PMI_RANK", "PMI_SIZE"},
                                  {"torchrun", "RANK", "WORLD_SIZE"}};

run_part part_of_environment() {
  std::optional<run_part> found;
  std::string source;
  const auto add = [&](run_part part, const char* name) {
    if (found && (found->index != part.index || found->count != part.count)) {
      throw option_error("part", fmt::format("auto: {} says {}/{}, {} says {}/{}; give I/N", source, found->index,
                                             found->count, name, part.index, part.count));
    }
    found = part;
    source = name;
  };
  if (std::getenv("SLURM_ARRAY_TASK_ID") != nullptr) add(part_of_slurm_array(), "the Slurm array");
  for (const launcher& one : launchers) {
    if (std::getenv(one.index) != nullptr) add({variable(one.index), variable(one.count)}, one.name);
  }
  if (found) return *found;
  throw option_error("part", "auto: the environment has none of SLURM_ARRAY_TASK_ID, OMPI_COMM_WORLD_RANK, PMI_RANK "
                             "and RANK; start it by sbatch --array, mpirun or torchrun, or give I/N");
}

}  // namespace

void add_part_option(CLI::App& command, std::string& text, const std::string& description) {
  command.add_option("--part", text, description)->type_name("I/N|auto");
}

std::optional<run_part> parse_part(const std::string& text) {
  if (text.empty()) return {};
  const bool is_auto = text == "auto";
  const std::size_t slash = text.find('/');
  std::optional<run_part> part;
  if (is_auto) {
    part = part_of_environment();
  } else if (slash != text.npos) {
    const auto index = number_in(std::string_view(text).substr(0, slash));
    const auto count = number_in(std::string_view(text).substr(slash + 1));
    if (index && count) part = run_part{*index, *count};
  }
  if (part && part->index < part->count) return part;
  const std::string given = part && is_auto ? fmt::format("auto, which is {}/{},", part->index, part->count) : text;
  throw option_error("part", given + " given, I/N with I from 0 to N - 1, or auto, wanted");
}

}  // namespace negpipe::cli
