#include <fmt/core.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "command.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/positives.hpp"
#include "progress_display.hpp"

namespace negpipe::cli {

namespace {

struct generate_arguments {
  common_options common;
  std::filesystem::path dataset_folder;
  generate_options options;
  evaluation_options evaluation;
  std::optional<std::uint64_t> seed;
  std::string device = "auto";
  std::uint64_t bitset_budget_bytes = default_bitset_budget_bytes;
  bool no_evaluation = false;
};

/// The backend for a run, and on standard error which one it is and why.
std::unique_ptr<backend> choose_backend(const generate_arguments& arguments, const positives_index& index,
                                        std::uint64_t batch_count) {
  // The run itself works on many batches at once, each filled by one thread; only a run of very few batches leaves
  // cores idle, and there the threads share a batch.
  const unsigned threads = run_control{.threads = arguments.common.threads}.thread_count();
  auto chosen = make_backend(arguments.device, index, batch_count >= threads ? 1 : threads);
  std::string note = fmt::format("backend: {}", chosen->description());
  if (arguments.device == "auto") {
    for (const auto& other : list_backends()) {
      if (!other.available) note += fmt::format("; {} is not used: {}", other.name, other.reason);
    }
  }
  print_note(arguments.common, note);
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

void run_generate(generate_arguments& arguments) {
  const run_control control = make_control(arguments.common);
  const dataset data = dataset::load(arguments.dataset_folder);
  if (!arguments.seed) {
    arguments.seed = random_seed();
    print_note(arguments.common, fmt::format("seed {} was drawn; give it with --seed to make the same output again",
                                             *arguments.seed));
  }
  generate_options& options = arguments.options;
  options.training.seed = *arguments.seed;
  arguments.evaluation.seed = *arguments.seed;
  if (!arguments.no_evaluation) options.evaluation = arguments.evaluation;
  if (arguments.evaluation.mlperf && data.origin().ties != "shuffled") {
    print_note(arguments.common,
               "--mlperf: the dataset was prepared with --ties file; the MLPerf reference shuffles ties, and file order "
               "gives other hit rates. Prepare it with --mlperf to match");
  }
  check_generate(data, options);
  const positives_index index(data, arguments.bitset_budget_bytes, control);
  const auto filler =
      choose_backend(arguments, index, plan_training(data, options.training).batch_count * options.cycle_count);
  const generate_report report = generate(data, *filler, options, control);

  nlohmann::ordered_json summary = {{"seed", *arguments.seed}, {"backend", filler->description()}};
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
  auto arguments = std::make_shared<generate_arguments>();
  generate_options& options = arguments->options;
  CLI::App& command = *app.add_subcommand("generate", "Write cycles of training data and the evaluation data");
  command.add_option("DATASET", arguments->dataset_folder, "a folder that prepare or synth made")->required();
  command.add_option("--out", options.out, "folder to write to")->required();
  command.add_option("--cycles", options.cycle_count, "how many cycles to write")->capture_default_str();
  command.add_option("--first-cycle", options.first_cycle, "number of the first one: continues an earlier run")
      ->capture_default_str();
  command.add_option("--epochs-per-cycle", options.training.epochs_per_cycle, "epochs that are shuffled together")
      ->capture_default_str();
  command.add_option("--batch-size", options.training.batch_size, "points in a training batch")->capture_default_str();
  command.add_option("--eval-batch-size", arguments->evaluation.batch_size,
                     "rows times (1 + --eval-negatives) in an evaluation batch")
      ->capture_default_str();
  command.add_option("--num-neg", options.training.negatives, "negatives for each positive")->capture_default_str();
  command.add_option("--eval-negatives", arguments->evaluation.negatives, "negatives for each evaluated user")
      ->capture_default_str();
  command.add_option("--readers", options.readers, "record files of a cycle")->capture_default_str();
  command.add_option("--seed", arguments->seed, "seed of everything random; drawn, shown and recorded if not given");
  command.add_flag("--mlperf", arguments->evaluation.mlperf,
                   "evaluation negatives with replacement, the held-out item allowed, as the MLPerf reference has it");
  const std::map<std::string, padding_policy> paddings = {
      {"resample", padding_policy::resample}, {"mask", padding_policy::mask}, {"drop", padding_policy::drop}};
  command.add_option("--padding", options.training.padding, "what fills the last batch: resample, mask or drop")
      ->transform(CLI::CheckedTransformer(paddings, CLI::ignore_case))
      ->default_str("resample");
  command.add_option("--device", arguments->device, "auto, cpu, cuda, cuda:N or cuda:all")->capture_default_str();
  command.add_option("--bitset-budget", arguments->bitset_budget_bytes,
                     "bytes that bitsets of positives may take (suffixes k, M, G); beyond it rows are searched")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  const std::map<std::string, compression_type> compressions = {{"none", compression_type::none},
                                                                {"gzip", compression_type::gzip}};
  command.add_option("--compression", options.compression, "none or gzip")
      ->transform(CLI::CheckedTransformer(compressions, CLI::ignore_case))
      ->default_str("none");
  command.add_flag("--no-eval", arguments->no_evaluation, "write no evaluation data");
  command.add_flag("--force", options.replace, "replace cycle and evaluation folders that exist");
  add_common_options(command, arguments->common,
                     "negpipe generate ml-1m --out run --cycles 3 --batch-size 65536 --seed 42");
  command.callback([arguments] { run_generate(*arguments); });
}

}  // namespace negpipe::cli
