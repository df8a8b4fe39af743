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

void check_generate(const generate_options& options, bool writes_evaluation) {
  check_cycles(options.first_cycle, options.cycle_count);
  check_readers(options.readers);
  const auto cycles = pipeline::find_cycle_folders(options.out, options.first_cycle, options.cycle_count);
  const fs::path evaluation = evaluation_folder(options.out);
  if (options.replace) {
    for (const fs::path& cycle : cycles) support::check_folder_place(cycle, record_mark);
    if (writes_evaluation) support::check_folder_place(evaluation, record_mark);
    return;
  }
  if (!cycles.empty()) {
    refuse_taken(cycles.front(), "continue with --first-cycle, choose another --out, or --force to replace it");
  }
  if (writes_evaluation && support::is_taken(evaluation)) {
    refuse_taken(evaluation, "keep it with --no-eval, choose another --out, or --force to replace it");
  }
}

generate_report generate(const sampler& source, const generate_options& options, const run_control& control) {
  check_generate(options, source.has_evaluation());
  check_records(source);
  const folder_options folders{options.out, options.readers, options.compression, options.replace};
  generate_report report;
  for (std::uint64_t i = 0; i < options.cycle_count; ++i) {
    const auto cycle = static_cast<std::uint32_t>(options.first_cycle + i);
    report.cycles.push_back(write_cycle(source, folders, cycle, control));
  }
  if (source.has_evaluation()) report.evaluation = write_evaluation(source, folders, control);
  return report;
}

}  // namespace negpipe
