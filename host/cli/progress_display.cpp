#include "progress_display.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace negpipe::cli {

std::string with_prefix(double value) {
  constexpr std::array prefixes = {"", "k", "M", "G", "T", "P"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < prefixes.size()) {
    value /= 1000;
    ++prefix;
  }
  const int decimals = prefix == 0 ? 0 : value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", value, decimals, prefixes[prefix]);
}

namespace {

std::string time_left(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

void status_line::show(const std::string& text) {
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
  open_ = true;
}

void status_line::end() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

progress_display::progress_display() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void progress_display::show(const progress& now) {
  const auto moment = clock::now();
  if (stage_ != now.stage) {
    finish();
    stage_ = now.stage;
    begin_ = moment;
    drawn_ = {};
  }
  const bool complete = now.total != 0 && now.done >= now.total;
  // A bar is drawn at most ten times a second; a log gets a line every five seconds and one at the end.
  const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(5);
  if (!complete && moment - std::max(drawn_, begin_) < pause) return;
  drawn_ = moment;
  draw(now, std::chrono::duration<double>(moment - begin_).count());
  if (complete) finish();
}

void progress_display::draw(const progress& now, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(now.done) / seconds : 0;
  std::string line = fmt::format("{}: {}{}", now.stage, with_prefix(static_cast<double>(now.done)), now.unit);
  if (now.total != 0) {
    const double part = std::min(1.0, static_cast<double>(now.done) / static_cast<double>(now.total));
    constexpr int width = 24;
    const auto filled = static_cast<std::size_t>(part * width);
    if (terminal_) line += fmt::format(" [{:-<{}}]", std::string(filled, '='), width);
    line += fmt::format(" {:3.0f} %", 100 * part);
  }
  if (now.total != 0 && now.done >= now.total) {
    line += fmt::format(", {:.2f} s", seconds);  // the summary has the rate, which includes the end of the work
  } else if (rate > 0) {
    // Steps take different times: neither their rate nor the time left means anything.
    const bool is_even = now.unit != "steps";
    if (is_even) line += fmt::format(", {}{}/s", with_prefix(rate), now.unit);
    if (is_even && now.total > now.done) {
      line += ", " + time_left(static_cast<double>(now.total - now.done) / rate) + " left";
    }
  }
  if (terminal_) {
    line_.show(line);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
    std::fflush(stderr);
  }
}

void progress_display::finish() {
  line_.end();
  stage_.clear();
}

}  // namespace negpipe::cli
