// Free space of a file system.
#pragma once

#include <cstdint>
#include <filesystem>

namespace negpipe::pipeline {

/// Returns the space of the file system that holds a folder. If it is unknown, returns no free space and an unlimited
/// capacity: then only a write shows whether there is room.
inline std::filesystem::space_info disk_space(const std::filesystem::path& folder) noexcept {
  std::error_code unknown;
  const std::filesystem::space_info found = std::filesystem::space(folder, unknown);
  if (!unknown && found.capacity != 0) return found;
  return {.capacity = static_cast<std::uintmax_t>(-1), .free = 0, .available = 0};
}

}  // namespace negpipe::pipeline
