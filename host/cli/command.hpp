// Code that the subcommands share. Only this folder prints or exits.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "negpipe/error.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe::cli {

/// Options that every subcommand has.
struct common_options {
  bool json = false;     ///< one JSON object on standard output instead of text
  bool quiet = false;    ///< no progress, no summary; errors only
  unsigned threads = 0;  ///< 0: one per core
};

/// Adds --json, --quiet and --threads, and an example at the end of --help. quiet: the help of --quiet.
void add_common_options(CLI::App& command, common_options& options, const std::string& example,
                        const std::string& quiet = "print only errors, and the object of --json");

/// Adds checks to all options. Numbers must be decimal and must not overflow; unsigned ones must have no sign. Texts
/// must not be empty. Must be called after all options were added.
void check_values(CLI::App& app);

/// Makes an option accept one of the given words, in any case, and store its value.
template <typename Enum>
CLI::Option* take_one_of(CLI::Option* option, std::map<std::string, Enum> words) {
  const auto transform = [words](std::string& text) {
    if (const auto found = words.find(CLI::detail::to_lower(text)); found != words.end()) {
      text = std::to_string(static_cast<std::underlying_type_t<Enum>>(found->second));
      return std::string();
    }
    std::string wanted;
    for (const auto& entry : words) wanted += (wanted.empty() ? "" : " or ") + entry.first;
    return text + " given, " + wanted + " wanted";
  };
  return option->type_name("WORD")->transform(CLI::Validator(transform, ""));
}

/// Returns a transform that reads a whole number from 0 to max. The option needs a type name other than UINT.
CLI::Validator count_up_to(std::uint64_t max);

/// Returns a transform that reads a number of bytes with an optional unit (k, M, G, ... powers of 1,024).
CLI::Validator byte_count();

/// Returns a run_control that signals stop (see stop_on_signals()). It shows progress as a bar on a terminal, as lines
/// otherwise, and not at all with --quiet.
run_control make_control(const common_options& options);

/// Returns the flag for a field of the library's messages, such as "--force" for "replace". Returns other names
/// unchanged.
std::string flag_of(std::string_view field);

/// Returns the message of an error with flags instead of fields.
std::string with_flags(const error& failure);

/// Ends the progress display and prints the outcome: the JSON object with --json, otherwise the text, nothing with
/// --quiet. Callers store seeds as text, as in ready.json: many JSON readers store numbers as doubles, which lose the
/// last digits of 64-bit integers. Throws io_error if the output cannot be written.
void print_outcome(const common_options& options, const nlohmann::ordered_json& summary, const std::string& text);

/// Flushes standard output. Throws io_error if anything printed to it could not be written.
void flush_output();

/// Prints a line on standard error, such as "seed 42 was drawn"; nothing with --quiet.
void print_note(const common_options& options, const std::string& text);

/// Thrown by a subcommand whose result is negative (verify), after it has printed the result. Ends with status 1.
struct negative_outcome {
  std::string error;  ///< printed on standard error if the result was not; empty otherwise
};

// Each subcommand has its own file, and adds itself with a callback that throws negpipe::error.
void add_prepare(CLI::App& app);
void add_synth(CLI::App& app);
void add_generate(CLI::App& app);
void add_produce(CLI::App& app);
void add_publish(CLI::App& app);
void add_join(CLI::App& app);
void add_verify(CLI::App& app);
void add_hash(CLI::App& app);
void add_info(CLI::App& app);

}  // namespace negpipe::cli
