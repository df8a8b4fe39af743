// What `negpipe produce` tells its user.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "negpipe/produce.hpp"

namespace negpipe::cli {

/// Messages with time stamps, in a file or on standard error, and on a terminal a status line.
class produce_log {
 public:
  /// quiet: nothing on standard error; a file is written all the same.
  explicit produce_log(bool quiet);
  ~produce_log();
  produce_log(const produce_log&) = delete;
  produce_log& operator=(const produce_log&) = delete;

  /// From now on messages are appended to a file. Throws io_error.
  void open(const std::filesystem::path& file);
  bool is_in_file() const { return file_ != nullptr; }

  void write(const std::string& message);
  /// Updates the status line, at most ten times a second.
  void show(const produce_status& status);

 private:
  void end_line();

  std::FILE* file_ = nullptr;
  bool quiet_;
  bool line_wanted_;
  bool line_open_ = false;
  std::chrono::steady_clock::time_point shown_;
};

}  // namespace negpipe::cli
