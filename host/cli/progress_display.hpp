// Progress on standard error: a bar with rate and time left on a terminal, now and then a plain line otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "negpipe/run_control.hpp"

namespace negpipe::cli {

/// Shows one stage at a time. Calls must come one at a time, as run_control promises.
class progress_display {
 public:
  progress_display();
  ~progress_display();

  void show(const progress& now);
  /// Ends the current line, so that other output begins on a fresh one.
  void finish();

 private:
  using clock = std::chrono::steady_clock;

  void draw(const progress& now, double seconds);

  bool terminal_;
  bool line_open_ = false;
  std::string stage_;
  clock::time_point begin_;
  clock::time_point drawn_;
};

/// "12.3 M", "4.56 G": three significant digits and a metric prefix.
std::string with_prefix(double value);

}  // namespace negpipe::cli
