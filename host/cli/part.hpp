// --part I/N, or --part auto from the environment of a scheduler.
#pragma once

#include <optional>
#include <string>

#include "command.hpp"
#include "negpipe/pipeline.hpp"

namespace negpipe::cli {

/// Adds --part, which stores its text.
void add_part_option(CLI::App& command, std::string& text, const std::string& description);

/// Parses --part: empty text means no part, "I/N" part I of N counted from 0, "auto" the variables of a Slurm array
/// (whose numbers may begin anywhere), Open MPI, PMI or torchrun. Throws option_error if the text or the variables are
/// invalid, are missing, or name different parts.
std::optional<run_part> parse_part(const std::string& text);

}  // namespace negpipe::cli
