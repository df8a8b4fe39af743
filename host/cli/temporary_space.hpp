// Where temporary files of large datasets go.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <filesystem>

#include "command.hpp"
#include "progress_display.hpp"

namespace negpipe::cli {

/// Returns the nearest existing parent of an output: its file system needs space for the output anyway.
inline std::filesystem::path temporary_folder_for(const std::filesystem::path& out) {
  std::error_code unknown;
  std::filesystem::path folder = std::filesystem::absolute(out, unknown).lexically_normal().parent_path();
  while (!std::filesystem::is_directory(folder, unknown) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

inline void print_temporary_space(const common_options& options, std::uint64_t bytes,
                                  const std::filesystem::path& folder) {
  print_note(options, fmt::format("needs about {}B of temporary space in {}", with_prefix(static_cast<double>(bytes)),
                                  folder.string()));
}

}  // namespace negpipe::cli
