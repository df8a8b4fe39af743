// The bytes of all files below a folder.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace negpipe::test {

/// Returns the content of each regular file, by its path relative to the folder.
inline std::map<std::string, std::string> files_below(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files[std::filesystem::relative(entry.path(), folder).string()] =
        std::string(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

/// Returns the paths whose content differs or that are in one folder only.
inline std::string differing_files(const std::filesystem::path& one, const std::filesystem::path& other) {
  auto left = files_below(one);
  std::string paths;
  for (const auto& [path, content] : files_below(other)) {
    const auto found = left.find(path);
    if (found == left.end() || found->second != content) paths += path + " ";
    if (found != left.end()) left.erase(found);
  }
  for (const auto& [path, content] : left) paths += path + " ";
  return paths;
}

}  // namespace negpipe::test
