// A producer: keeps cycles ready ahead of a trainer, which deletes the cycles it has used.
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

/// Returns DATA_DIR/ID_ncf_recommendation_cache, the folder of one run in the 2018 pipeline.
/// Throws option_error unless the id is a plain name: not empty, no slash or control character, no leading dot, no
/// leading or trailing space, and short enough for a folder name.
std::filesystem::path cache_folder(const std::filesystem::path& data_dir, std::string_view cache_id);

/// Returns generate_options of an endless run.
inline generate_options endless_run() {
  generate_options options;
  options.cycle_count = 0;
  return options;
}

struct produce_options {
  /// What is made. out: the cache folder. cycle_count: 0 means endless. replace: removes the output of an earlier
  /// producer.
  generate_options records = endless_run();
  std::uint64_t cycles_ahead = 3;            ///< make cycles while fewer are ready; at least 1
  std::chrono::seconds timeout{7200};        ///< end after this time without consumption; at most 2^32 s
  unsigned background_threads = 0;           ///< for all cycles but the first; 0: three quarters of the threads
  bool resume = false;                       ///< continue an earlier producer's run of this cache
  bool poll = false;                         ///< poll twice a second instead of using inotify
  /// End when this is no longer the parent process id; 0: never.
  std::int64_t parent = 0;
};

enum class produce_activity : std::uint8_t { making, waiting_for_consumer, waiting_for_room };

struct produce_status {
  produce_activity activity;
  std::string_view stage;        ///< what is made, such as "cycle 3"; else empty
  double stage_done;             ///< finished share of the stage, 0 to 1
  std::uint64_t made;            ///< cycles, including those before a resumption
  std::uint64_t ahead;           ///< cycles that are ready
  double points_per_second;      ///< of the current stage, or of the last one
};

/// Callbacks of a producer. Both may be empty. They must not throw, and are never called concurrently.
struct produce_listener {
  std::function<void(const std::string&)> on_message;       ///< a line for a log
  std::function<void(const produce_status&)> on_status;     ///< often
};

enum class produce_end : std::uint8_t {
  all_made,         ///< cycle_count cycles were made
  not_consumed,     ///< nothing was consumed during the timeout
  parent_ended,     ///< the parent process ended
  cache_removed,    ///< subproc.alive or the whole cache folder was removed
};

struct produce_report {
  produce_end end;
  std::uint64_t cycles_made = 0;  ///< by this call
  std::uint64_t point_count = 0;  ///< points of these cycles, padding included
};

/// Makes cycles until a reason to end occurs (produce_end). The cache folder holds:
/// - subproc.alive: JSON with the pid, its start time and its pid namespace; removed when this returns or throws.
/// - training_epochs/cycle_00000, cycle_00001, ...: each complete. A cycle is ready while its folder has a ready.json,
///   and consumed without it. Half-deleted cycles are logged, and removed on resumption.
/// - eval_data: written once, after the first cycle.
/// - producer.json (for resumption), producer.lock (against a second producer), .in-use (detects removal of the whole
///   cache), .partial (unfinished work).
///
/// Behaviour:
/// - Threads: control.thread_count() for the first cycle, background_threads afterwards.
/// - Full disk: waits for free space. Throws disk_full_error if there is none and nothing is consumed during the
///   timeout, or immediately if an uncompressed folder is larger than the file system.
/// - Removal: ends when subproc.alive is removed. Published cycles stay, unless the whole cache was removed: then
///   nothing is left behind. A consumer may remove all of training_epochs, which consumes its cycles.
/// - Resumption: continues with the next unpublished cycle, with the same bytes. After a kill at any time, no cycle is
///   published twice or left out. (After a power failure, a cycle whose publication was not on disk is published
///   again.)
/// - replace: removes the note first, then each folder as a whole. A run killed during this is not resumed.
/// - Clock: monotonic; time for which the process is stopped (SIGSTOP) does not count.
///
/// Throws:
/// - option_error, also if another producer uses the cache, the cache holds an earlier run and neither resume nor
///   replace is set, resume is set with options that give other bytes, or foreign files are in the way;
/// - infeasible_error, format_error for a damaged note, io_error, backend_error;
/// - interrupted_error within the time of one batch after a stop request. Unfinished output is removed.
produce_report produce(const sampler& source, const produce_options& options, const produce_listener& listener = {},
                       const run_control& control = {});

/// Returns the seed recorded in a cache's note; empty if there is no note. Throws io_error, format_error.
std::optional<std::uint64_t> recorded_seed(const std::filesystem::path& cache);

}  // namespace negpipe
