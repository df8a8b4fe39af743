// producer.json: the state from which a later producer resumes a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "negpipe/pipeline.hpp"
#include "negpipe/sampler.hpp"

namespace negpipe::pipeline {

inline constexpr const char* note_name = "producer.json";

struct producer_note {
  std::uint64_t next_cycle;
  /// Name of the hidden folder that becomes cycle next_cycle - 1, or empty. While that folder exists, the cycle is not
  /// published. Once it is gone, the cycle was published, even if a consumer has deleted it already.
  std::string publishing;
  nlohmann::ordered_json options;  ///< all options that determine the bytes, by field name
};

/// Reads the note of a cache; empty if there is none. Translates notes of version 0.1, which named options by flag.
/// Throws io_error, format_error.
std::optional<producer_note> read_note(const std::filesystem::path& cache);

/// Returns the content of the file.
std::string to_text(const producer_note& note);

/// Returns all options that determine the bytes of cycles and evaluation data.
nlohmann::ordered_json note_options(const sampler& source, const generate_options& options);

/// Throws option_error if an option differs from the noted one; names the first.
void require_same_options(const nlohmann::ordered_json& noted, const nlohmann::ordered_json& now,
                          const std::filesystem::path& cache);

}  // namespace negpipe::pipeline
