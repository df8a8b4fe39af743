// A producer: keeps cycles ready ahead of a trainer, which deletes those that it has used.
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

/// Returns DATA_DIR/ID_ncf_recommendation_cache, where the pipeline of 2018 kept everything of one run.
/// Throws option_error unless the id is a plain name: not empty, no slash, no control character, no dot at its front,
/// no space at its ends, and short enough for the name of a folder.
std::filesystem::path cache_folder(const std::filesystem::path& data_dir, std::string_view cache_id);

/// Returns generate_options for a run without end.
inline generate_options endless_run() {
  generate_options options;
  options.cycle_count = 0;
  return options;
}

struct produce_options {
  /// What is made. out is the cache folder; cycle_count 0 means without end; replace removes what an earlier producer
  /// left.
  generate_options records = endless_run();
  std::uint64_t cycles_ahead = 3;            ///< make cycles while fewer than so many are ready; at least 1
  std::chrono::seconds timeout{7200};        ///< end after so long without consumption; at most 2^32 s
  unsigned background_threads = 0;           ///< of all cycles but the first; 0: three quarters of the threads
  bool resume = false;                       ///< continue what an earlier producer of this cache began
  bool poll = false;                         ///< look twice a second instead of being woken by inotify
  /// End when the parent process is no longer this one; 0: never.
  std::int64_t parent = 0;
};

enum class produce_activity : std::uint8_t { making, waiting_for_consumer, waiting_for_room };

struct produce_status {
  produce_activity activity;
  std::string_view stage;        ///< what is made, such as "cycle 3"; else empty
  double stage_done;             ///< how much of it, 0 to 1
  std::uint64_t made;            ///< cycles, those before a resumption included
  std::uint64_t ahead;           ///< cycles that are ready
  double points_per_second;      ///< of the stage, or of the last one
};

/// Callbacks of a producer. Both may be empty, must not throw, and are called by one thread at a time.
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

/// Makes cycles until there is a reason to end. In the cache folder:
/// - subproc.alive: pid, start time, and among which processes the pid counts, as JSON; removed when this returns or
///   throws.
/// - training_epochs/cycle_00000 and so on, one after the other, each complete. A cycle is ready while its folder has a
///   ready.json, and consumed without it. Half-deleted ones are logged, and removed by a resumption.
/// - eval_data: once, after the first cycle.
/// - producer.json, producer.lock, .in-use, .partial: for a resumption, against a second producer, to recognise a
///   removal of the whole cache, and for unfinished work.
///
/// The first cycle is made by control.thread_count() threads.
/// - Full disk: waits, and goes on when there is room. Throws disk_full_error if there is none, and nothing is
///   consumed, for as long as the timeout; or at once if an uncompressed folder is larger than the file system.
/// - Removal: ends at once when subproc.alive is removed. Published cycles stay, unless all of the cache was removed:
///   then nothing is left of it. A consumer may remove all of training_epochs; this consumes its cycles.
/// - Resumption: continues with the next cycle that was not published, with the same bytes. Whenever the process was
///   killed, no cycle is published twice, and none is left out. (After a power cut, a cycle whose publication was not
///   on disk yet is published once more.)
/// - replace: removes the note first, then each folder as a whole. What a kill leaves of it is not resumed.
/// - Clock: monotonic; time for which the process is stopped (SIGSTOP) does not count.
///
/// Throws option_error (also: another producer has the cache; the cache holds an earlier run and neither resume nor
/// replace is set; resume with options that give other bytes; something in the cache that is not negpipe's is in the
/// way), infeasible_error, format_error for a damaged note, io_error, backend_error, and interrupted_error within a
/// batch's time after a stop was requested. Nothing unfinished is left.
produce_report produce(const sampler& source, const produce_options& options, const produce_listener& listener = {},
                       const run_control& control = {});

/// Returns the seed in the note of a cache; empty if there is no note. Throws io_error, format_error.
std::optional<std::uint64_t> recorded_seed(const std::filesystem::path& cache);

}  // namespace negpipe
