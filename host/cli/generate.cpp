#include <fmt/core.h>

#include <memory>

#include "command.hpp"
#include "generation.hpp"
#include "negpipe/pipeline.hpp"
#include "progress_display.hpp"

namespace negpipe::cli {

namespace {

/// The backend for a run, and on standard error which one it is and why.
std::unique_ptr<backend> choose_backend(const generation_arguments& arguments, const positives_index& index,
                                        std::uint64_t batch_count) {
  // The run itself works on many batches at once, each filled by one thread; only a run of very few batches leaves
  // cores idle, and there the threads share a batch.
  const unsigned threads = run_control{.threads = arguments.common.threads}.thread_count();
  auto chosen = make_backend(arguments.device, index, batch_count >= threads ? 1 : threads);
  print_note(arguments.common, backend_note(*chosen, arguments.device));
  return chosen;
}

nlohmann::ordered_json to_json(const published_folder& folder) {
  return {{"path", folder.path.string()},
          {"points", folder.point_count},
          {"bytes", folder.byte_count},
          {"seconds", folder.seconds},
          {"points_per_second", folder.seconds > 0 ? static_cast<double>(folder.point_count) / folder.seconds : 0}};
}

std::string to_text(const published_folder& folder) {
  const double rate = folder.seconds > 0 ? static_cast<double>(folder.point_count) / folder.seconds : 0;
  return fmt::format("{}: {} points, {}B in {:.2f} s ({}points/s)\n", folder.path.string(), folder.point_count,
                     with_prefix(static_cast<double>(folder.byte_count)), folder.seconds, with_prefix(rate));
}

void run_generate(generation_arguments& arguments) {
  const run_control control = make_control(arguments.common);
  const dataset data = dataset::load(arguments.dataset_folder);
  settle_generation(arguments, data, [&](const std::string& note) { print_note(arguments.common, note); });
  const generate_options& options = arguments.options;
  check_generate(data, options);
  const positives_index index(data, arguments.bitset_budget_bytes, control);
  const auto filler =
      choose_backend(arguments, index, plan_training(data, options.training).batch_count * options.cycle_count);
  const generate_report report = generate(data, *filler, options, control);

  nlohmann::ordered_json summary = {{"seed", std::to_string(*arguments.seed)}, {"backend", filler->description()}};
  std::string text;
  summary["cycles"] = nlohmann::ordered_json::array();
  for (const auto& cycle : report.cycles) {
    summary["cycles"].push_back(to_json(cycle));
    text += to_text(cycle);
  }
  if (report.evaluation) {
    summary["evaluation"] = to_json(*report.evaluation);
    text += to_text(*report.evaluation);
  }
  print_outcome(arguments.common, summary, text);
}

}  // namespace

void add_generate(CLI::App& app) {
  auto arguments = std::make_shared<generation_arguments>();
  generate_options& options = arguments->options;
  CLI::App& command = *app.add_subcommand("generate", "Write cycles of training data and the evaluation data");
  command.add_option("DATASET", arguments->dataset_folder, "a folder that prepare or synth made")->required();
  command.add_option("--out", options.out, "folder to write to")->required();
  command.add_option("--cycles", options.cycle_count, "how many cycles to write")->capture_default_str();
  add_generation_options(command, *arguments);
  command.add_flag("--force", options.replace,
                   "replace cycle and evaluation folders that have a ready.json, or are empty");
  add_common_options(command, arguments->common,
                     "negpipe generate ml-1m --out run --cycles 3 --batch-size 65536 --seed 42");
  command.callback([arguments] { run_generate(*arguments); });
}

}  // namespace negpipe::cli
