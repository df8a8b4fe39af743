#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "command.hpp"
#include "generation.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "part.hpp"
#include "progress_display.hpp"

namespace negpipe::cli {

namespace {

struct generate_arguments : generation_arguments {
  std::string part;
};

nlohmann::ordered_json to_json(const published_folder& folder) {
  nlohmann::ordered_json fields = {
      {"path", folder.path.string()},
      {"points", folder.point_count},
      {"bytes", folder.byte_count},
      {"seconds", folder.seconds},
      {"points_per_second", folder.seconds > 0 ? static_cast<double>(folder.point_count) / folder.seconds : 0}};
  if (folder.kept_file_count != 0) fields["kept_files"] = folder.kept_file_count;
  if (folder.was_published) fields["published_already"] = true;
  return fields;
}

std::string to_text(const published_folder& folder, std::string_view unit) {
  if (folder.was_published) {
    return fmt::format("{}: published already by a run with these options, nothing was written\n",
                       folder.path.string());
  }
  const double rate = folder.seconds > 0 ? static_cast<double>(folder.point_count) / folder.seconds : 0;
  const std::string kept =
      folder.kept_file_count == 0 ? "" : fmt::format(", {} files made before", folder.kept_file_count);
  return fmt::format("{}: {} {}, {}B in {:.2f} s ({}{}/s){}\n", folder.path.string(), folder.point_count, unit,
                     with_prefix(static_cast<double>(folder.byte_count)), folder.seconds, with_prefix(rate), unit,
                     kept);
}

/// Parts that each drew their own seed would not be of one run.
void check_seed(const generate_arguments& arguments) {
  if (!arguments.options.part || arguments.seed) return;
  throw option_error("seed", "is not given; all parts of a run need the same, so `part` needs one");
}

void run_generate(generate_arguments& arguments) {
  arguments.options.part = parse_part(arguments.part);
  check_seed(arguments);
  const run_control control = make_control(arguments.common);
  const dataset data = dataset::load(arguments.dataset_folder, arguments.map_from);
  check_generate(data, arguments.options, !arguments.no_evaluation);
  settle_generation(arguments, data, [&](const std::string& note) { print_note(arguments.common, note); });
  const sampler source(data, arguments.sampling, control);
  print_note(arguments.common, "backend: " + source.description());
  const generate_report report = generate(source, arguments.options, control);

  nlohmann::ordered_json summary = {{"seed", std::to_string(*arguments.seed)}, {"backend", source.device()}};
  std::string text;
  summary["cycles"] = nlohmann::ordered_json::array();
  for (const auto& cycle : report.cycles) {
    summary["cycles"].push_back(to_json(cycle));
    text += to_text(cycle, arguments.sampling.layout == batch_layout::pairwise ? "rows" : "points");
  }
  if (report.evaluation) {
    summary["evaluation"] = to_json(*report.evaluation);
    text += to_text(*report.evaluation, "points");
  }
  if (arguments.options.part) {
    summary["part"] = fmt::format("{}/{}", arguments.options.part->index, arguments.options.part->count);
    const bool is_published =
        std::ranges::all_of(report.cycles, &published_folder::was_published) &&
        (!report.evaluation || report.evaluation->was_published);
    if (!is_published) text += fmt::format("publish with: negpipe publish {}\n", arguments.options.out.string());
  }
  print_outcome(arguments.common, summary, text);
}

}  // namespace

void add_generate(CLI::App& app) {
  auto arguments = std::make_shared<generate_arguments>();
  generate_options& options = arguments->options;
  CLI::App& command = *app.add_subcommand("generate", "Write training cycles and the evaluation data");
  command.add_option("DATASET", arguments->dataset_folder, "a folder that prepare or synth wrote")->required();
  command.add_option("--out", options.out, "folder to write to")->required();
  command.add_option("--cycles", options.cycle_count, "number of cycles to write")->capture_default_str();
  add_generation_options(command, *arguments);
  add_part_option(command, arguments->part,
                  "make only the record files f with f mod N = I, hidden until `negpipe publish`; auto: I and N from a "
                  "Slurm array, mpirun or torchrun");
  command.add_flag("--force", options.replace,
                   "replace cycle and evaluation folders that have a ready.json, or are empty");
  add_common_options(command, arguments->common,
                     "negpipe generate ml-1m --out run --cycles 3 --batch-size 65536 --seed 42");
  command.callback([arguments] { run_generate(*arguments); });
}

}  // namespace negpipe::cli
