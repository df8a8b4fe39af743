// A producer: cycles kept ready ahead of a trainer, which deletes what it has used.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "negpipe/dataset.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/run_control.hpp"
#include "negpipe/sampler.hpp"

namespace negpipe {

/// DATA_DIR/ID_ncf_recommendation_cache, where the pipeline of 2018 kept everything of one run.
std::filesystem::path cache_folder(const std::filesystem::path& data_dir, std::string_view cache_id);

/// generate_options of a run that goes on until it is told to stop.
inline generate_options endless_run() {
  generate_options options;
  options.cycle_count = 0;
  return options;
}

struct produce_options {
  /// What is made. out is the cache folder; cycle_count 0 means until told to stop; replace clears what an earlier
  /// producer left.
  generate_options records = endless_run();
  std::uint64_t cycles_ahead = 3;            ///< make cycles while fewer than so many lie unconsumed; at least 1
  std::chrono::seconds timeout{7200};        ///< give up after so long without consumption
  unsigned background_threads = 0;           ///< of all cycles but the first; 0: three quarters of the threads
  bool resume = false;                       ///< continue what an earlier producer of this cache began
  bool poll = false;                         ///< look twice a second instead of being woken by inotify
  /// Give up when the parent process is no longer this one; 0: never.
  std::int64_t parent = 0;
};

enum class produce_activity : std::uint8_t { making, waiting_for_consumer, waiting_for_room };

struct produce_status {
  produce_activity activity;
  std::string_view stage;        ///< what is made, such as "cycle 3"; else empty
  double stage_done;             ///< how much of it, 0 to 1
  std::uint64_t made;            ///< cycles, those before a resumption included
  std::uint64_t ahead;           ///< cycles that lie unconsumed
  double points_per_second;      ///< of the stage, or of the last one
};

/// What a caller hears of a producer: both may be empty, must not throw, and are called by one thread at a time.
struct produce_listener {
  std::function<void(const std::string&)> on_message;       ///< a line for a log
  std::function<void(const produce_status&)> on_status;     ///< often
};

enum class produce_end : std::uint8_t {
  all_made,         ///< as many cycles as were asked for
  not_consumed,     ///< nothing was consumed for as long as the timeout
  parent_ended,     ///< the trainer is gone
  cache_removed,    ///< somebody removed subproc.alive, or the whole cache folder
};

struct produce_report {
  produce_end end;
  std::uint64_t cycles_made = 0;  ///< by this call
  std::uint64_t point_count = 0;  ///< in them, padding included
};

/// Works until there is a reason to end. In the cache folder appear
///   subproc.alive                       pid, start time, and among which processes the pid counts, as JSON; gone
///                                       when this returns or throws
///   training_epochs/cycle_00000 ...     one after the other, each whole; a cycle is consumed when its folder is gone
///   eval_data                           once, after the first cycle
///   producer.json, producer.lock        for resume, and against a second producer
/// The first cycle is made by control.thread_count() threads. A full disk is waited out, from the cache folder on. It
/// ends when subproc.alive goes, whatever it is at, and leaves nothing of a folder that somebody removes; a consumer
/// that removes all of training_epochs has consumed what lay in it. With resume the next cycle that was not made yet
/// comes first, with the bytes it would have had; if a crash fell between the publication of a cycle and the note of
/// it, and a consumer took the cycle in that moment, it is made once more. Only monotonic clocks are consulted.
///
/// Throws option_error (also: another producer has the cache; the cache holds an earlier run and neither resume nor
/// replace is set; resume with options that give other bytes), infeasible_error, io_error, backend_error, and
/// interrupted_error within a batch's time after a stop was requested. Nothing half-made is left.
produce_report produce(const sampler& source, const produce_options& options, const produce_listener& listener = {},
                       const run_control& control = {});

/// The seed that the producer of a cache noted for its resumption; empty when there is no note.
std::optional<std::uint64_t> recorded_seed(const std::filesystem::path& cache);

}  // namespace negpipe
