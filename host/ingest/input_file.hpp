// A file of ratings, or a copy of standard input.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "files.hpp"

namespace negpipe::ingest {

/// Input that can be opened and read from its start any number of times.
class input_file {
 public:
  /// "-" is standard input. A pipe is copied to an unnamed file in the temporary folder (TMPDIR). Throws io_error.
  /// - name: for messages; empty: the path
  explicit input_file(const std::filesystem::path& path, const std::string& name = {});

  const std::string& name() const { return name_; }  ///< for messages
  const std::filesystem::path& path() const { return path_; }

 private:
  std::string name_;
  std::filesystem::path path_;
  std::optional<support::file> spooled_;
};

}  // namespace negpipe::ingest
