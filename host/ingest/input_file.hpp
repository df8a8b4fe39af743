// A file of ratings, or standard input made into one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "files.hpp"

namespace negpipe::ingest {

/// Can be opened and read from its beginning any number of times.
class input_file {
 public:
  /// "-" is standard input: a pipe is copied to a file without a name in the temporary folder (TMPDIR). Throws
  /// io_error.
  explicit input_file(const std::filesystem::path& path);

  const std::string& name() const { return name_; }  ///< for messages
  const std::filesystem::path& path() const { return path_; }

 private:
  std::string name_;
  std::filesystem::path path_;
  std::optional<support::file> spooled_;
};

}  // namespace negpipe::ingest
