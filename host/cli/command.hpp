// What the subcommands share. The only code of the project that prints or exits is in this folder.
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
  unsigned threads = 0;  ///< 0: one a core
};

/// Adds --json, --quiet and --threads, and the example that --help ends with.
void add_common_options(CLI::App& command, common_options& options, const std::string& example);

/// Makes every option that takes a number read it as decimal and refuse signs where there are none and overflow, and
/// every option that takes a name refuse an empty one; called once all options are added.
void check_values(CLI::App& app);

/// Makes an option take one of some words, in any case, for the values that they stand for.
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

/// For a transform: a number of bytes with an optional unit (k, M, G, ... of 1,024) becomes one without.
CLI::Validator byte_count();

/// Returns a run_control with a bar on a terminal, plain lines otherwise, nothing with --quiet. Signals stop it, see
/// stop_on_signals().
run_control make_control(const common_options& options);

/// Returns the flag for a field that the library's messages name: "--force" for "replace"; a field without a flag as it
/// is.
std::string flag_of(std::string_view field);

/// Returns the message of an error with flags instead of fields.
std::string with_flags(const error& failure);

/// Ends the progress display and prints the outcome: the JSON object with --json, else the text, nothing with --quiet.
/// Seeds stand in the object as text, as they do in ready.json: many readers of JSON keep numbers as doubles, which
/// lose the last digits of 64 bits. Throws io_error when it cannot be written: an outcome that is lost is no outcome.
void print_outcome(const common_options& options, const nlohmann::ordered_json& summary, const std::string& text);

/// Throws io_error when something that was printed to standard output did not arrive.
void flush_output();

/// A line for the user on standard error (such as "seed 42 was drawn"); nothing with --quiet.
void print_note(const common_options& options, const std::string& text);

/// Thrown by a subcommand that did its work and found the answer "no" (verify); what() has been printed already.
struct negative_outcome {};

// One file a subcommand; each adds itself with a callback that does the work and throws negpipe::error.
void add_prepare(CLI::App& app);
void add_synth(CLI::App& app);
void add_generate(CLI::App& app);
void add_produce(CLI::App& app);
void add_verify(CLI::App& app);
void add_hash(CLI::App& app);
void add_info(CLI::App& app);

}  // namespace negpipe::cli
