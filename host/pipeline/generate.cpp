#include <fmt/core.h>

#include "files.hpp"
#include "folder_writer.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "part_writer.hpp"
#include "ready_file.hpp"
#include "record_folders.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_taken(const fs::path& folder, const char* advice) {
  throw option_error(folder.string() + " exists already; " + advice);
}

/// Returns the task of a part. All parts of a run must agree on everything in it but the index.
pipeline::part_task task_of(const sampler& source, const generate_options& options, const folder_options& folders) {
  return {{.part_count = options.part->count,
           .readers = options.readers,
           .first_cycle = options.first_cycle,
           .cycle_count = options.cycle_count,
           .training = record::ready_text(describe_cycle(source, folders, 0)),
           .evaluation = source.has_evaluation() ? record::ready_text(describe_evaluation(source, folders)) : ""},
          options.part->index,
          options.replace};
}

}  // namespace

void check_part(const std::optional<run_part>& part) {
  if (!part || (part->index < part->count && part->count <= max_readers)) return;
  throw option_error("part", fmt::format("{}/{} given, I/N with I below N and N up to {} wanted", part->index,
                                         part->count, max_readers));
}

void check_generate(const dataset& data, const generate_options& options, bool writes_evaluation) {
  check_cycles(options.first_cycle, options.cycle_count);
  check_readers(options.readers);
  check_part(options.part);
  check_outside(data, options.out);
  const auto cycles = pipeline::find_cycle_folders(options.out, options.first_cycle, options.cycle_count);
  const fs::path evaluation = evaluation_folder(options.out);
  if (options.replace) {
    for (const fs::path& cycle : cycles) support::check_output_folder(cycle, record_folder_kind);
    if (writes_evaluation) support::check_output_folder(evaluation, record_folder_kind);
    return;
  }
  if (options.part) return;  // a published folder of the same run is allowed
  if (!cycles.empty()) {
    refuse_taken(cycles.front(), "continue with `first_cycle`, choose another `out`, or overwrite it with `replace`");
  }
  if (writes_evaluation && support::is_taken(evaluation)) {
    refuse_taken(evaluation, "keep it with `no_eval`, choose another `out`, or overwrite it with `replace`");
  }
}

generate_report generate(const sampler& source, const generate_options& options, const run_control& control) {
  check_generate(source.data(), options, source.has_evaluation());
  check_records(source);
  folder_options folders{options.out, options.readers, options.compression, options.replace};
  if (options.part) folders.part = task_of(source, options, folders);
  generate_report report;
  for (std::uint64_t i = 0; i < options.cycle_count; ++i) {
    const auto cycle = static_cast<std::uint32_t>(options.first_cycle + i);
    report.cycles.push_back(write_cycle(source, folders, cycle, control));
  }
  if (source.has_evaluation()) report.evaluation = write_evaluation(source, folders, control);
  return report;
}

}  // namespace negpipe
