#include "negpipe/produce.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <limits>
#include <memory>

#include "command.hpp"
#include "flagfile.hpp"
#include "generation.hpp"
#include "negpipe/error.hpp"
#include "produce_log.hpp"

namespace negpipe::cli {

namespace {

namespace fs = std::filesystem;

struct produce_arguments {
  generation_arguments generation;
  produce_options options;  ///< its records are taken from generation
  fs::path data_dir;
  std::string cache_id;
  std::uint64_t timeout_seconds = 7200;
  std::optional<std::int64_t> parent;
  fs::path flagfile;
  fs::path log_file;
};

/// Sets target to the value of a flag, unless the command line gives the option.
template <typename Value, typename Target>
void take(const CLI::App& command, const char* option, const char* flag, const std::optional<Value>& given,
          Target& target) {
  if (!given || command.get_option(option)->count() != 0) return;
  if constexpr (std::is_integral_v<Target>) {
    if (*given > std::numeric_limits<Target>::max()) {
      throw option_error(fmt::format("--{}={} in the flag file: at most {} wanted", flag, *given,
                                     std::numeric_limits<Target>::max()));
    }
    target = static_cast<Target>(*given);
  } else {
    target = *given;
  }
}

bool is_same_folder(const fs::path& one, const fs::path& other) {
  std::error_code unknown;
  if (fs::equivalent(one, other, unknown)) return true;
  // Missing paths are compared lexically.
  const auto full = [](const fs::path& path) {
    std::error_code gone;  // the working directory may be
    const fs::path from_root = fs::absolute(path, gone);
    return ((gone ? path : from_root) / "").lexically_normal();
  };
  return full(one) == full(other);
}

void refuse(const char* name, const std::string& given, const std::string& wanted) {
  throw option_error(fmt::format("--{}={} in the flag file, but {} on the command line", name, given, wanted));
}

void apply_flags(const CLI::App& command, const legacy_flags& flags, produce_arguments& arguments) {
  generation_arguments& generation = arguments.generation;
  sampler_options& sampling = generation.sampling;
  if (flags.data_dir && !is_same_folder(*flags.data_dir, arguments.data_dir)) {
    refuse("data_dir", *flags.data_dir, arguments.data_dir.string());
  }
  if (flags.cache_id && *flags.cache_id != arguments.cache_id) {
    refuse("cache_id", *flags.cache_id, arguments.cache_id);
  }
  take(command, "--background-threads", "num_workers", flags.num_workers, arguments.options.background_threads);
  take(command, "--readers", "num_readers", flags.num_readers, generation.options.readers);
  take(command, "--num-neg", "num_neg", flags.num_neg, sampling.negatives);
  take(command, "--epochs-per-cycle", "epochs_per_cycle", flags.epochs_per_cycle, sampling.epochs_per_cycle);
  take(command, "--batch-size", "train_batch_size", flags.train_batch_size, sampling.batch_size);
  take(command, "--eval-batch-size", "eval_batch_size", flags.eval_batch_size, generation.eval_batch_size);
  take(command, "--seed", "seed", flags.seed, generation.seed);
  take(command, "--mlperf", "ml_perf", flags.ml_perf, generation.evaluation.mlperf);
}

/// Waits for the flag file and takes its options. Returns false if the parent ended first.
bool take_flagfile(const CLI::App& command, produce_arguments& arguments, legacy_flags& flags,
                   const run_control& control, produce_log& log) {
  const fs::path& file = arguments.flagfile;
  std::error_code unknown;
  if (!fs::exists(file, unknown)) log.write(fmt::format("waiting for the flag file {}", file.string()));
  if (!wait_for_flagfile(file, arguments.options.timeout, arguments.options.parent, control)) return false;
  std::exception_ptr failure;
  try {
    read_flagfile(file, flags);
  } catch (const error&) {
    failure = std::current_exception();
  }
  if (flags.redirect_logs.value_or(false) && !log.is_in_file()) {
    log.open(arguments.data_dir / fmt::format("data_gen_proc_{}.log", arguments.cache_id));
  }
  if (failure) std::rethrow_exception(failure);
  apply_flags(command, flags, arguments);
  return true;
}

std::string to_text(produce_end end) {
  switch (end) {
    case produce_end::all_made: return "all cycles are made";
    case produce_end::not_consumed: return "nothing was consumed until the timeout; the trainer seems to be gone";
    case produce_end::parent_ended: return "the parent process ended";
    case produce_end::cache_removed: return "subproc.alive was removed";
  }
  return {};
}

const char* to_name(produce_end end) {
  switch (end) {
    case produce_end::all_made: return "all_made";
    case produce_end::not_consumed: return "not_consumed";
    case produce_end::parent_ended: return "parent_ended";
    case produce_end::cache_removed: return "cache_removed";
  }
  return "";
}

produce_report run_on_dataset(produce_arguments& arguments, const legacy_flags& flags, const run_control& control,
                              produce_log& log) {
  generation_arguments& generation = arguments.generation;
  const auto say = [&](const std::string& message) { log.write(message); };
  const fs::path cache = cache_folder(arguments.data_dir, arguments.cache_id);
  if (arguments.options.parent != 0) {
    say(fmt::format("this run ends when process {}, which started it, does; --parent 0 goes on without it",
                    arguments.options.parent));
  }
  if (flags.use_tf_logging) say("use_tf_logging of the flag file has no meaning here");
  const dataset data =
      dataset::load(generation.dataset_folder.empty() ? cache / "dataset" : generation.dataset_folder,
                    generation.map_from);
  check_counts(flags, data);
  if (arguments.options.resume && !generation.seed) generation.seed = recorded_seed(cache);
  settle_generation(generation, data, say);
  arguments.options.records = generation.options;
  arguments.options.records.out = cache;
  const sampler source(data, generation.sampling, control);
  say("backend: " + source.description());
  const produce_listener listener{say, [&](const produce_status& status) { log.show(status); }};
  return produce(source, arguments.options, listener, control);
}

produce_report run_logged(const CLI::App& command, produce_arguments& arguments, const run_control& control,
                          produce_log& log) {
  produce_report report{.end = produce_end::parent_ended};
  legacy_flags flags;
  if (arguments.flagfile.empty() || take_flagfile(command, arguments, flags, control, log)) {
    report = run_on_dataset(arguments, flags, control, log);
  }
  log.write(fmt::format("{}; made {} cycles, {} points", to_text(report.end), report.cycles_made, report.point_count));
  return report;
}

void run_produce(const CLI::App& command, produce_arguments& arguments) {
  common_options silent = arguments.generation.common;
  silent.quiet = true;  // no progress display: the log has a status line
  const run_control control = make_control(silent);
  arguments.options.timeout = std::chrono::seconds(arguments.timeout_seconds);
  arguments.options.parent = arguments.parent.value_or(::getppid());

  // Called first, because it checks the id before it is used in a path.
  const fs::path cache = cache_folder(arguments.data_dir, arguments.cache_id);
  if (arguments.flagfile.empty() && arguments.generation.dataset_folder.empty()) {
    arguments.flagfile = cache / "flagfile";
  }
  produce_log log(arguments.generation.common.quiet);
  if (!arguments.log_file.empty()) log.open(arguments.log_file);
  try {
    const produce_report report = run_logged(command, arguments, control, log);
    nlohmann::ordered_json summary{{"end", to_name(report.end)},
                                   {"seed", nullptr},
                                   {"cycles", report.cycles_made},
                                   {"points", report.point_count}};
    if (arguments.generation.seed) summary["seed"] = std::to_string(*arguments.generation.seed);
    print_outcome(arguments.generation.common, summary, {});
  } catch (const std::exception& failure) {
    const auto* ours = dynamic_cast<const error*>(&failure);
    if (log.is_in_file()) log.write(ours != nullptr ? with_flags(*ours) : failure.what());
    throw;
  }
}

}  // namespace

void add_produce(CLI::App& app) {
  auto arguments = std::make_shared<produce_arguments>();
  generation_arguments& generation = arguments->generation;
  produce_options& options = arguments->options;
  generation.options.cycle_count = 0;
  CLI::App& command = *app.add_subcommand("produce", "Keep cycles ready ahead of a trainer that deletes what it used");
  command.add_option("DATASET", generation.dataset_folder,
                     "a folder that prepare or synth wrote; by default \"dataset\" in the cache folder");
  command.add_option("--data-dir,--data_dir", arguments->data_dir, "folder that holds the cache folder")->required();
  command.add_option("--cache-id,--cache_id", arguments->cache_id,
                     "name of the cache folder, ID_ncf_recommendation_cache")
      ->required();
  command.add_option("--flagfile", arguments->flagfile,
                     "wait for this file and read options from it, by their names in the 2018 pipeline; the command "
                     "line takes precedence. Without it and DATASET: \"flagfile\" in the cache folder");
  command.add_option("--cycles-ahead", options.cycles_ahead, "number of unconsumed cycles to keep ready")
      ->capture_default_str();
  command.add_option("--cycles", generation.options.cycle_count, "end after this number of cycles; 0: never")
      ->capture_default_str();
  command.add_option("--timeout", arguments->timeout_seconds, "end after this many seconds without consumption")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 31));
  command.add_option("--background-threads", options.background_threads,
                     "threads for all cycles but the first; 0: three quarters of --threads")
      ->capture_default_str();
  command.add_option("--log-file", arguments->log_file, "append messages to this file instead of standard error");
  command
      .add_option("--parent", arguments->parent,
                  "end when the parent process is no longer the one with this id; 0: ignore its end. By default the "
                  "process that started the program")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{std::numeric_limits<pid_t>::max()}));
  command.add_flag("--poll", options.poll, "look for consumed cycles twice a second instead of using inotify");
  command.add_flag("--resume", options.resume, "continue the run of an earlier producer of this cache");
  command.add_flag("--force", generation.options.replace, "remove the run of an earlier producer of this cache");
  add_generation_options(command, generation);
  add_common_options(command, generation.common,
                     "negpipe produce ml-1m --data-dir run --cache-id first --batch-size 65536 --seed 42");
  command.callback([&command, arguments] { run_produce(command, *arguments); });
}

}  // namespace negpipe::cli
