#include "negpipe/produce.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <thread>

#include "disk_space.hpp"
#include "files.hpp"
#include "folder_watch.hpp"
#include "folder_writer.hpp"
#include "incomplete_cycles.hpp"
#include "negpipe/error.hpp"
#include "produce_checks.hpp"
#include "producer_cache.hpp"
#include "producer_note.hpp"
#include "stop_monitor.hpp"

namespace negpipe::pipeline {

namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;
using duration = std::chrono::nanoseconds;

/// Thrown to end the run from any place that waits.
struct end_of_run {
  produce_end end;
};

constexpr std::uint64_t note_bytes = 4096;

class producer {
 public:
  producer(const sampler& source, const produce_options& options, const produce_listener& listener,
           const run_control& control)
      : source_(source),
        options_(options),
        listener_(listener),
        all_threads_(control.threads == 0 ? source.threads() : control.thread_count()),
        later_threads_(later_threads(options, all_threads_)),
        monitor_(control.stop_requested, options.parent),
        next_cycle_(options.records.first_cycle) {}

  produce_report run() {
    try {
      with_room("the cache folder", note_bytes, [&] { cache_.emplace(options_.records.out); });
      settle_earlier_run();
      with_room("subproc.alive", note_bytes, [&] { cache_->announce(); });
      monitor_.watch_file(cache_->announcement());
      watch_.emplace(cache_->cycles(), options_.poll);
      log(fmt::format("{} threads for the first cycle, {} for later ones", all_threads_, later_threads_));
      if (watch_->polling()) log("inotify is not in use: looking for consumed cycles twice a second");
      produce_all();
    } catch (const end_of_run& reason) {
      report_.end = reason.end;
    } catch (const interrupted_error&) {
      if (monitor_.reason() == stop_reason::asked) throw;
      report_.end = end_for(monitor_.reason());
    } catch (const io_error&) {
      // If the cache folder is being removed, missing files are no error.
      if (!watch_ || !cache_->is_being_removed()) throw;
      report_.end = produce_end::cache_removed;
    }
    return report_;
  }

 private:
  static produce_end end_for(stop_reason reason) {
    return reason == stop_reason::parent_ended ? produce_end::parent_ended : produce_end::cache_removed;
  }

  // ---- earlier runs

  void settle_earlier_run() {
    std::string unpublished;
    const auto note = options_.records.replace ? std::nullopt : read_note(cache_->root());
    if (options_.records.replace) {
      with_room("the removal of the earlier run", note_bytes, [&] { cache_->clear_records(); });
    } else if (note && options_.resume) {
      unpublished = resume(*note);
    } else if (note || cache_->has_records()) {
      const char* restriction = note ? "" : " (not possible here: there is no producer.json)";
      throw option_error(
          fmt::format("{} holds an earlier run; continue it with `resume`{}, replace it with `replace`, or choose "
                      "another `cache_id`",
                      cache_->root().string(), restriction));
    }
    cache_->clear_unfinished(unpublished);
    with_room("the note", note_bytes, [&] { write_note(next_cycle_); });
    // After the new note: without this folder the earlier note counts its cycle as published.
    if (!unpublished.empty()) cache_->clear_unfinished();
  }

  /// Checks the note and sets the next cycle. Returns the name of a hidden folder whose cycle the note counts although
  /// it was not published, or an empty text.
  std::string resume(const producer_note& note) {
    require_same_options(note.options, note_options(source_, options_.records), cache_->root());
    const bool unpublished = !note.publishing.empty() && support::is_taken(cache_->staging() / note.publishing);
    next_cycle_ = std::max(note.next_cycle - (unpublished ? 1 : 0), cache_->list_cycles().after_last);
    for (const fs::path& folder : cache_->clear_incomplete()) {
      if (folder.filename() == evaluation_folder(cache_->root()).filename()) {
        throw option_error(folder.string() + " has no ready.json, and holds files that negpipe did not write; remove "
                           "it");
      }
      log_incomplete(folder);
    }
    log(fmt::format("resuming with cycle {}", next_cycle_));
    return unpublished ? note.publishing : std::string();
  }

  void write_note(std::uint64_t next_cycle, const std::string& publishing = {}) {
    cache_->write_note({next_cycle, publishing, note_options(source_, options_.records)});
  }

  // ---- cycles

  void produce_all() {
    last_change_ = monitor_.running_time();
    if (next_cycle_ == options_.records.first_cycle && !all_made()) make_cycle(all_threads_);
    if (source_.has_evaluation() && !cache_->has_evaluation()) make_evaluation();
    while (!all_made()) {
      wait_for_consumer();
      make_cycle(later_threads_);
    }
  }

  bool all_made() const {
    const auto& records = options_.records;
    return records.cycle_count != 0 && next_cycle_ >= records.first_cycle + records.cycle_count;
  }

  void make_cycle(unsigned threads) {
    check_cycles(next_cycle_, 1);
    const auto cycle = static_cast<std::uint32_t>(next_cycle_);
    const std::string name = fmt::format("cycle {}", cycle);
    const auto publish = [&](support::staged_folder& made) { publish_cycle(name, made); };
    const published_folder published = make_folder(name, cycle_bytes(), [&] {
      return write_cycle(source_, folders(publish), cycle, control(threads));
    });
    ++report_.cycles_made;
    report_.point_count += published.point_count;
    last_cycle_bytes_ = published.byte_count;
    log_published(name, published);
  }

  void make_evaluation() {
    const auto publish = [](support::staged_folder& made) { made.publish_unsynced(); };
    const published_folder published = make_folder("the evaluation data", evaluation_bytes(), [&] {
      return write_evaluation(source_, folders(publish), control(later_threads_));
    });
    log_published("evaluation", published);
  }

  /// Writes a folder once there is room, then syncs its entry. If only that sync fails, the work must not be repeated:
  /// a consumer may already use the folder.
  template <typename Write>
  published_folder make_folder(const std::string& what, std::uint64_t bytes, Write write) {
    std::optional<published_folder> published;
    with_room(what, bytes, [&] {
      cache_->make_folders();
      published = write();
    });
    with_room("the entry of " + what, note_bytes, [&] {
      cache_->make_folders();
      support::sync_folder(published->path.parent_path());
    });
    return *published;
  }

  /// Publishes a cycle exactly once, also across a crash. The note counts the cycle before it is visible, and names the
  /// hidden folder: while that exists, the cycle is not published.
  void publish_cycle(const std::string& what, support::staged_folder& made) {
    try {
      with_room("the note", note_bytes, [&] {
        support::sync_folder(made.path());
        support::sync_folder(cache_->staging());
        write_note(next_cycle_ + 1, made.path().filename().string());
      });
      with_room("the entry of " + what, note_bytes, [&] {
        cache_->make_folders();
        made.publish_unsynced();
      });
    } catch (...) {
      take_back_note(made);  // it may be on disk although writing it failed
      throw;
    }
    ++next_cycle_;
  }

  /// Writes a note without the cycle. If that fails, keeps the hidden folder, because the old note refers to it.
  void take_back_note(support::staged_folder& made) noexcept {
    try {
      write_note(next_cycle_);
    } catch (const std::exception&) {
      made.keep();
      cache_->keep_unfinished();
    }
  }

  void log_published(const std::string& name, const published_folder& published) {
    last_change_ = monitor_.running_time();
    points_per_second_ =
        published.seconds > 0 ? static_cast<double>(published.point_count) / published.seconds : 0;
    const std::uint64_t ahead = count_ready();
    log(fmt::format("{}: {} points, {} bytes in {:.2f} s ({:.1f} M points/s); {} made, {} ahead, {} consumed", name,
                    published.point_count, published.byte_count, published.seconds, points_per_second_ / 1e6,
                    made_count(), ahead, made_count() - std::min(ahead, made_count())));
    report_status(produce_activity::waiting_for_consumer, {}, 0, ahead);
  }

  // ---- waiting

  void wait_for_consumer() {
    std::uint64_t ahead = count_ready();
    bool logged = false;
    while (ahead >= options_.cycles_ahead) {
      if (!logged) log(fmt::format("{} cycles are ready; waiting for one to be consumed", ahead));
      logged = true;
      report_status(produce_activity::waiting_for_consumer, {}, 0, ahead);
      watch_->wait(monitor_.descriptor(), time_left());
      const std::uint64_t now_ahead = count_ready();
      if (now_ahead < ahead) last_change_ = monitor_.running_time();
      ahead = now_ahead;
      throw_if_over();
      if (time_left() == duration::zero()) throw end_of_run{produce_end::not_consumed};
    }
    throw_if_over();
  }

  std::uint64_t count_ready() {
    const cycle_list found = cache_->list_cycles();
    incomplete_.update(found.incomplete, monitor_.running_time(),
                       [this](const fs::path& folder) { log_incomplete(folder); });
    return found.ready.size();
  }

  void log_incomplete(const fs::path& folder) const {
    log(fmt::format("{} has no ready.json and counts as consumed; remove what is left of it", folder.string()));
  }

  /// Runs work that writes to disk. While the disk is full, waits and runs it again.
  template <typename Work>
  void with_room(const std::string& what, std::uint64_t bytes, Work work) {
    for (unsigned trial = 1;; ++trial) {
      try {
        return work();
      } catch (const disk_full_error& failure) {
        wait_for_room(what, bytes, trial, failure.what());
      }
    }
  }

  void wait_for_room(const std::string& what, std::uint64_t bytes, unsigned trials, const std::string& failure) {
    const bool misleading = space().available >= bytes;
    log(fmt::format("no room for {}, which takes {} bytes: {} are free; waiting ({})", what, bytes, space().available,
                    failure));
    if (space().capacity < bytes && can_be_estimated()) throw_no_room(what, bytes, "and never will be");
    // A quota does not show in the free space, so writing is tried again regularly; small writes more often.
    const auto trial = clock::now() + std::chrono::seconds(bytes <= note_bytes ? 1 : std::min(trials, 10U));
    do {
      report_status(produce_activity::waiting_for_room, {}, 0, cache_ ? count_ready() : 0);
      const auto pause = std::min<duration>(time_left(), std::chrono::milliseconds(500));
      if (watch_) {
        watch_->wait(monitor_.descriptor(), pause);
      } else {
        std::this_thread::sleep_for(pause);
      }
      throw_if_over();
      if (time_left() == duration::zero()) {
        throw_no_room(what, bytes, fmt::format("for {} s, and nothing was consumed", options_.timeout.count()));
      }
    } while (clock::now() < trial && (misleading || space().available < bytes));
  }

  fs::space_info space() const {
    const fs::path& cache = options_.records.out;
    return disk_space(cache_ ? cache : cache.parent_path());
  }

  /// Returns whether a lower bound of a folder's size is known before it is written.
  bool can_be_estimated() const { return options_.records.compression == compression_type::none; }

  [[noreturn]] void throw_no_room(const std::string& what, std::uint64_t bytes, const std::string& since) const {
    throw disk_full_error(fmt::format("there is no room for {} in {} {}: it takes {} bytes, {} of {} are free; free "
                                      "some space, make cycles smaller, or choose another folder",
                                      what, options_.records.out.string(), since, bytes, space().available,
                                      space().capacity));
  }

  duration time_left() const {
    return std::max(duration::zero(), last_change_ + options_.timeout - monitor_.running_time());
  }

  void throw_if_over() {
    if (monitor_.requested()) {
      if (monitor_.reason() != stop_reason::asked) throw end_of_run{end_for(monitor_.reason())};
      control(1).throw_if_stopped();
    }
    if (watch_ && !cache_->is_announced()) throw end_of_run{produce_end::cache_removed};
  }

  // ---- the rest

  folder_options folders(std::function<void(support::staged_folder&)> publish) const {
    return {.out = cache_->root(),
            .readers = options_.records.readers,
            .compression = options_.records.compression,
            .replace = false,
            .staging = cache_->staging(),
            .publish = std::move(publish)};
  }

  run_control control(unsigned threads) {
    run_control inner;
    inner.threads = threads;
    inner.stop_requested = &monitor_.requested();
    inner.on_progress = [this, begin = clock::now()](const progress& now) {
      const double seconds = std::chrono::duration<double>(clock::now() - begin).count();
      if (seconds > 0) points_per_second_ = static_cast<double>(now.done) / seconds;
      const double part = now.total == 0 ? 0 : static_cast<double>(now.done) / static_cast<double>(now.total);
      report_status(produce_activity::making, now.stage, part, {});
    };
    return inner;
  }

  /// An empty ahead means the last known count: counting for every batch would be slow.
  void report_status(produce_activity activity, std::string_view stage, double part,
                     std::optional<std::uint64_t> ahead) {
    if (!listener_.on_status) return;
    if (ahead) last_ahead_ = *ahead;
    listener_.on_status({activity, stage, part, made_count(), last_ahead_, points_per_second_});
  }

  void log(const std::string& message) const {
    if (listener_.on_message) listener_.on_message(message);
  }

  std::uint64_t made_count() const { return next_cycle_ - options_.records.first_cycle; }

  /// Returns the bytes of a point, or of a row of the pairwise layout.
  std::uint64_t value_bytes() const {
    const training_plan& plan = source_.plan();
    const std::uint64_t item = item_bytes(source_.item_width());
    const std::uint64_t rest = plan.layout == batch_layout::pairwise ? item * plan.negatives : 1;
    return 4 + item + rest + (plan.pad == padding_policy::mask ? 1 : 0);
  }
  std::uint64_t cycle_bytes() const {
    return last_cycle_bytes_ != 0 ? last_cycle_bytes_ : source_.plan().padded_count() * value_bytes();
  }
  std::uint64_t evaluation_bytes() const {
    return source_.evaluation_plan().padded_count() * (4 + item_bytes(source_.item_width()) + 1);
  }

  const sampler& source_;
  const produce_options& options_;
  const produce_listener& listener_;
  unsigned all_threads_;
  unsigned later_threads_;
  std::optional<producer_cache> cache_;
  stop_monitor monitor_;  // after cache_: it watches a file of the cache
  std::optional<folder_watch> watch_;
  std::uint64_t next_cycle_;
  incomplete_cycles incomplete_;
  std::uint64_t last_ahead_ = 0;
  std::uint64_t last_cycle_bytes_ = 0;
  double points_per_second_ = 0;
  duration last_change_{};  ///< of the monitor's running time
  produce_report report_{.end = produce_end::all_made};
};

}  // namespace

}  // namespace negpipe::pipeline

namespace negpipe {

produce_report produce(const sampler& source, const produce_options& options, const produce_listener& listener,
                       const run_control& control) {
  pipeline::check_produce(source, options);
  return pipeline::producer(source, options, listener, control).run();
}

}  // namespace negpipe
