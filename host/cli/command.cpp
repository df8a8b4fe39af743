#include "command.hpp"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string_view>

#include "negpipe/error.hpp"
#include "progress_display.hpp"

namespace negpipe::cli {

namespace {

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

// The first signal asks; a second one of the same kind ends the program at once.
extern "C" void request_stop(int signal) {
  stop_requested.store(true);
  std::signal(signal, SIG_DFL);
}

progress_display display;

/// Reads a number of decimal digits from the front of a text; false if there is none or it does not fit.
template <typename Number>
bool take_number(std::string_view& text, Number& number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return failure == std::errc();
}

/// CLI11 converts with strtoull in any base, which takes -1 for 2^64 - 1, what is too large for the largest, and 010
/// for 8. What comes back is the number in its plain form.
template <typename Number>
std::string normalize_number(std::string& text) {
  Number number{};
  std::string_view rest = text;
  if (!take_number(rest, number) || !rest.empty()) {
    return text + " given, a whole number from " + std::to_string(std::numeric_limits<Number>::min()) + " to " +
           std::to_string(std::numeric_limits<Number>::max()) + " wanted";
  }
  text = std::to_string(number);
  return {};
}

/// A number and a unit of 1,024s: "64M", "64 MiB" and "67108864" are one.
std::string normalize_bytes(std::string& text) {
  const auto refusal = [&] { return text + " given, a number of bytes wanted, such as 1073741824, 1024M or 1G"; };
  std::uint64_t number = 0;
  std::string_view rest = text;
  if (!take_number(rest, number)) return refusal();
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  std::string unit(rest);
  std::ranges::transform(unit, unit.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (unit.ends_with('b')) unit.pop_back();
  if (unit.size() == 2 && unit.back() == 'i') unit.pop_back();
  const std::size_t power = unit.empty() ? 0 : std::string_view("kmgtpe").find(unit) + 1;
  if (unit.size() > 1 || (power == 0 && !unit.empty())) return refusal();
  if (power != 0 && number > std::numeric_limits<std::uint64_t>::max() >> (10 * power)) return refusal();
  text = std::to_string(number << (10 * power));
  return {};
}

}  // namespace

void add_common_options(CLI::App& command, common_options& options, const std::string& example) {
  command.add_flag("--json", options.json, "print one JSON object instead of text");
  command.add_flag("--quiet", options.quiet, "print nothing but errors (and the object of --json)");
  command.add_option("--threads", options.threads, "threads to use; 0 means one a core. Results never depend on it")
      ->capture_default_str()
      ->check(CLI::Validator(
          [](std::string& text) {
            return text.size() < 10 && std::stoul(text) <= max_threads
                       ? std::string()
                       : text + " given, at most " + std::to_string(max_threads) + " wanted";
          },
          ""));
  command.footer("Example:\n  " + example);
}

CLI::Validator byte_count() { return {normalize_bytes, "SIZE"}; }

void check_values(CLI::App& app) {
  const CLI::Validator whole_number(normalize_number<std::uint64_t>, "");
  const CLI::Validator signed_number(normalize_number<std::int64_t>, "");
  const CLI::Validator some_text(
      [](std::string& text) { return text.empty() ? std::string("nothing given, a name wanted") : std::string(); }, "");
  for (CLI::App* command : app.get_subcommands(/*filter=*/{})) {
    for (CLI::Option* option : command->get_options()) {
      const std::string type = option->get_type_name();
      if (type == "TEXT") option->check(some_text);
      if (type == "INT") option->transform(signed_number);
      // Other checks of an option stand behind its type.
      if (type == "UINT" || type.starts_with("UINT:UINT")) option->transform(whole_number);
    }
  }
}

run_control make_control(const common_options& options) {
  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  run_control control;
  control.threads = options.threads;
  control.stop_requested = &stop_requested;
  if (!options.quiet) {
    control.on_progress = [](const progress& now) { display.show(now); };
  }
  return control;
}

void flush_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw io_error(std::string("cannot write to standard output: ") + std::strerror(errno));
}

void print_outcome(const common_options& options, const nlohmann::ordered_json& summary, const std::string& text) {
  display.finish();
  if (options.json) {
    std::printf("%s\n", summary.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else if (!options.quiet) {
    std::fputs(text.c_str(), stdout);
  }
  flush_output();
}

void print_note(const common_options& options, const std::string& text) {
  if (options.quiet) return;
  display.finish();
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace negpipe::cli
