#include "command.hpp"

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>

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

}  // namespace

void add_common_options(CLI::App& command, common_options& options, const std::string& example) {
  command.add_flag("--json", options.json, "print one JSON object instead of text");
  command.add_flag("--quiet", options.quiet, "print nothing but errors (and the object of --json)");
  command.add_option("--threads", options.threads, "threads to use; 0 means one a core. Results never depend on it")
      ->capture_default_str();
  command.footer("Example:\n  " + example);
}

void check_whole_numbers(CLI::App& app) {
  // CLI11 converts with strtoull, which takes -1 for 2^64 - 1 and what is too large for the largest.
  const CLI::Validator whole_number(
      [](std::string& text) {
        std::uint64_t value = 0;
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (failure == std::errc() && end == text.data() + text.size()) return std::string();
        return text + " given, a whole number from 0 to 18446744073709551615 wanted";
      },
      "");
  for (CLI::App* command : app.get_subcommands(/*filter=*/{})) {
    for (CLI::Option* option : command->get_options()) {
      if (option->get_type_name() == "UINT") option->check(whole_number);
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

void print_outcome(const common_options& options, const nlohmann::ordered_json& summary, const std::string& text) {
  display.finish();
  if (options.json) {
    std::printf("%s\n", summary.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else if (!options.quiet) {
    std::fputs(text.c_str(), stdout);
  }
}

void print_note(const common_options& options, const std::string& text) {
  if (options.quiet) return;
  display.finish();
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace negpipe::cli
