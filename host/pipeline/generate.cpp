#include "batch_buffers.hpp"
#include "example_encoder.hpp"
#include "files.hpp"
#include "folder_writer.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "record_folders.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_taken(const fs::path& folder, const char* advice) {
  throw option_error(folder.string() + " exists already; " + advice);
}

}  // namespace

void check_feasible(const dataset& data, const generate_options& options) {
  check_cycles(options.first_cycle, options.cycle_count);
  if (options.readers == 0) throw option_error("--readers: 0 given, 1 or more wanted");
  const training_plan plan = plan_training(data, options.training);
  const item_type items = item_type_for(data.item_count());
  const bool masked = plan.pad == padding_policy::mask;
  // A record that cannot be encoded is refused here, not when the first batch is ready.
  (void)record::record_template(training_shape(plan.batch_size, items, masked).columns);
  if (options.evaluation) {
    const evaluation_plan evaluation = plan_evaluation(data, *options.evaluation);
    (void)record::record_template(evaluation_shape(evaluation.batch_size, items).columns);
  }
}

void check_generate(const dataset& data, const generate_options& options) {
  check_feasible(data, options);
  const auto cycles = pipeline::find_cycle_folders(options.out, options.first_cycle, options.cycle_count);
  const fs::path evaluation = evaluation_folder(options.out);
  if (options.replace) {
    for (const fs::path& cycle : cycles) support::check_folder_place(cycle, record_mark);
    if (options.evaluation) support::check_folder_place(evaluation, record_mark);
    return;
  }
  if (!cycles.empty()) {
    refuse_taken(cycles.front(), "continue with --first-cycle, choose another --out, or --force to replace it");
  }
  if (options.evaluation && support::is_taken(evaluation)) {
    refuse_taken(evaluation, "keep it with --no-eval, choose another --out, or --force to replace it");
  }
}

generate_report generate(const dataset& data, const backend& filler, const generate_options& options,
                         const run_control& control) {
  check_generate(data, options);
  const training_plan plan = plan_training(data, options.training);
  const folder_options folders{options.out, options.readers, options.compression, options.replace};
  generate_report report;
  for (std::uint64_t i = 0; i < options.cycle_count; ++i) {
    const auto cycle = static_cast<std::uint32_t>(options.first_cycle + i);
    report.cycles.push_back(write_cycle(data, filler, folders, plan, cycle, control));
  }
  if (options.evaluation) {
    report.evaluation =
        write_evaluation(data, filler, folders, plan_evaluation(data, *options.evaluation), control);
  }
  return report;
}

}  // namespace negpipe
