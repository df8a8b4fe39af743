// Log and status line of `negpipe produce`.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "negpipe/produce.hpp"
#include "progress_display.hpp"

namespace negpipe::cli {

/// Writes messages with time stamps to a file or to standard error, and a status line to a terminal. Not thread-safe.
class produce_log {
 public:
  /// quiet: writes nothing to standard error, but still to a file.
  explicit produce_log(bool quiet);
  ~produce_log();
  produce_log(const produce_log&) = delete;
  produce_log& operator=(const produce_log&) = delete;

  /// Appends later messages to a file instead of standard error. Throws io_error.
  void open(const std::filesystem::path& file);
  bool is_in_file() const { return file_ != nullptr; }

  void write(const std::string& message);
  /// Updates the status line, at most ten times a second.
  void show(const produce_status& status);

 private:
  std::FILE* file_ = nullptr;
  bool quiet_;
  bool shows_status_;
  status_line line_;
  std::chrono::steady_clock::time_point shown_;
};

}  // namespace negpipe::cli
