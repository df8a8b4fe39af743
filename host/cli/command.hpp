// What the subcommands share. The only code of the project that prints or exits is in this folder.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

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

/// Makes every option that takes an unsigned number refuse signs and overflow; called once all options are added.
void check_whole_numbers(CLI::App& app);

/// A run_control with a bar on a terminal, plain lines otherwise, nothing with --quiet; SIGINT and SIGTERM stop it.
run_control make_control(const common_options& options);

/// Ends the progress display and prints the outcome: the JSON object with --json, else the text, nothing with --quiet.
void print_outcome(const common_options& options, const nlohmann::ordered_json& summary, const std::string& text);

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
