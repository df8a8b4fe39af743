// Progress on standard error: a bar with rate and remaining time on a terminal, a line every 5 s otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "negpipe/run_control.hpp"

namespace negpipe::cli {

/// A line on standard error that is overwritten in place on a terminal. Not thread-safe.
class status_line {
 public:
  ~status_line() { end(); }

  /// Replaces the line.
  void show(const std::string& text);
  /// Ends the line, so that other output starts on a new one.
  void end();

 private:
  bool open_ = false;
};

/// Shows one stage at a time. Not thread-safe; run_control serializes the calls.
class progress_display {
 public:
  progress_display();

  void show(const progress& now);
  /// Ends the current line, so that other output starts on a new one.
  void finish();

 private:
  using clock = std::chrono::steady_clock;

  void draw(const progress& now, double seconds);

  bool terminal_;
  status_line line_;
  std::string stage_;
  clock::time_point begin_;
  clock::time_point drawn_;
};

/// Returns three significant digits and a metric prefix: "12.3 M", "4.56 G".
std::string with_prefix(double value);

}  // namespace negpipe::cli
