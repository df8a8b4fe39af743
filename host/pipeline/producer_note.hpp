// producer.json: what a later producer needs to continue a run.
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
  /// Name of the hidden folder from which cycle next_cycle - 1 is published, or empty. While that folder exists, the
  /// cycle is not published; once it is gone, the cycle is, even if a consumer has deleted it already.
  std::string publishing;
  nlohmann::ordered_json options;  ///< all that decides the bytes, by field name
};

/// Reads the note of a cache; empty if there is none. Notes of version 0.1 named options by flag; they are translated.
/// Throws io_error, format_error.
std::optional<producer_note> read_note(const std::filesystem::path& cache);

/// Returns the content of the file.
std::string to_text(const producer_note& note);

/// Returns everything that decides the bytes of cycles and evaluation data.
nlohmann::ordered_json note_options(const sampler& source, const generate_options& options);

/// Throws option_error, which names the first field that differs.
void require_same_options(const nlohmann::ordered_json& noted, const nlohmann::ordered_json& now,
                          const std::filesystem::path& cache);

}  // namespace negpipe::pipeline
