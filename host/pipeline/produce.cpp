#include "negpipe/produce.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "files.hpp"
#include "folder_watch.hpp"
#include "folder_writer.hpp"
#include "negpipe/error.hpp"
#include "negpipe/version.hpp"
#include "producer_cache.hpp"
#include "stop_monitor.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;
using pipeline::stop_reason;
using json = nlohmann::ordered_json;

/// Thrown to leave the loop from wherever it waits.
struct giving_up {
  produce_end end;
};

constexpr const char* padding_names[] = {"resample", "mask", "drop"};
constexpr const char* compression_names[] = {"none", "gzip"};
constexpr std::uint64_t note_bytes = 4096;

/// Everything that decides the bytes of cycles and evaluation data.
json options_json(const dataset& data, const generate_options& options) {
  json out{{"dataset", data.digest()},
           {"stream_version", stream_version},
           {"--seed", std::to_string(options.training.seed)},
           {"--first-cycle", options.first_cycle},
           {"--epochs-per-cycle", options.training.epochs_per_cycle},
           {"--batch-size", options.training.batch_size},
           {"--num-neg", options.training.negatives},
           {"--padding", padding_names[static_cast<int>(options.training.padding)]},
           {"--readers", options.readers},
           {"--compression", compression_names[static_cast<int>(options.compression)]}};
  if (options.evaluation) {
    out["--eval-batch-size"] = options.evaluation->batch_size;
    out["--eval-negatives"] = options.evaluation->negatives;
    out["--mlperf"] = options.evaluation->mlperf;
  }
  return out;
}

void require_same_options(const json& noted, const json& now, const fs::path& cache) {
  for (const auto& [name, value] : now.items()) {
    const json before = noted.value(name, json());
    if (before == value) continue;
    throw option_error(fmt::format("--resume: {} was {} when {} was begun and is {} now; give the same options again, "
                                   "or start anew with --force",
                                   name, before.dump(), cache.string(), value.dump()));
  }
}

unsigned background_threads(unsigned asked, unsigned all) {
  if (asked != 0) return asked;
  return std::max(1U, all - (all + 3) / 4);
}

class producer {
 public:
  producer(const dataset& data, const backend_maker& make_filler, const produce_options& options,
           const produce_listener& listener, const run_control& control)
      : data_(data),
        make_filler_(make_filler),
        options_(options),
        listener_(listener),
        plan_(plan_training(data, options.records.training)),
        all_threads_(control.thread_count()),
        later_threads_(background_threads(options.background_threads, all_threads_)),
        monitor_(control.stop_requested, options.parent),
        next_cycle_(options.records.first_cycle) {}

  produce_report run() {
    try {
      filler(all_threads_, plan_.batch_count);  // a backend that cannot be had is to leave no folder behind
      with_room("the cache folder", note_bytes, [&] { cache_.emplace(options_.records.out); });
      settle_earlier_run();
      with_room("the notes", note_bytes, [&] { cache_->announce(); });
      monitor_.watch_file(cache_->announcement());
      watch_.emplace(cache_->cycles(), options_.poll);
      say(fmt::format("{} threads for the first cycle, {} for later ones", all_threads_, later_threads_));
      if (watch_->polling()) say("there is no inotify here: looking for consumed cycles twice a second");
      produce_all();
    } catch (const giving_up& reason) {
      report_.end = reason.end;
    } catch (const interrupted_error&) {
      if (monitor_.reason() == stop_reason::asked) throw;
      report_.end = end_for(monitor_.reason());
    } catch (const io_error&) {
      // Whoever removes the cache folder under a producer wants it to end, not to complain of what is missing already.
      if (!watch_ || !cache_->is_being_removed()) throw;
      report_.end = produce_end::cache_removed;
    }
    return report_;
  }

 private:
  static produce_end end_for(stop_reason reason) {
    return reason == stop_reason::parent_ended ? produce_end::parent_ended : produce_end::cache_removed;
  }

  void settle_earlier_run() {
    cache_->clear_unfinished();
    const json wanted = options_json(data_, options_.records);
    if (options_.records.replace) {
      cache_->clear_records();
    } else if (const auto note = pipeline::read_note(cache_->root()); note && options_.resume) {
      require_same_options(note->options, wanted, cache_->root());
      next_cycle_ = std::max(note->next_cycle, cache_->cycle_after_last());
      say(fmt::format("resuming with cycle {}", next_cycle_));
    } else if (note || cache_->has_records()) {
      const char* doubt = note ? "" : " (not possible here: there is no producer.json)";
      throw option_error(
          fmt::format("{} holds an earlier run; continue it with --resume{}, replace it with --force, "
                      "or choose another --cache-id",
                      cache_->root().string(), doubt));
    }
    with_room("the notes", note_bytes, [&] { cache_->write_note({next_cycle_, wanted}); });
  }

  void produce_all() {
    last_change_ = clock::now();
    if (next_cycle_ == options_.records.first_cycle && !all_made()) make_cycle(all_threads_);
    if (options_.records.evaluation && !cache_->has_evaluation()) make_evaluation();
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
    const published_folder published = publish(name, cycle_bytes(), [&] {
      return write_cycle(data_, filler(threads, plan_.batch_count), folders(), plan_, cycle, control(threads));
    });
    ++next_cycle_;
    ++report_.cycles_made;
    report_.point_count += published.point_count;
    last_cycle_bytes_ = published.byte_count;
    with_room("the notes", note_bytes, [&] {
      cache_->write_note({next_cycle_, options_json(data_, options_.records)});
    });
    tell_of(name, published);
  }

  void make_evaluation() {
    const evaluation_plan plan = plan_evaluation(data_, *options_.records.evaluation);
    const published_folder published = publish("the evaluation data", evaluation_bytes(plan), [&] {
      return write_evaluation(data_, filler(later_threads_, plan.batch_count), folders(), plan,
                              control(later_threads_));
    });
    tell_of("evaluation", published);
  }

  /// Writes a folder, once there is room, and syncs where it stands. Nothing is made twice because that sync failed:
  /// a consumer may have the folder already.
  template <typename Write>
  published_folder publish(const std::string& what, std::uint64_t bytes, Write write) {
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

  void tell_of(const std::string& name, const published_folder& published) {
    last_change_ = clock::now();
    points_per_second_ =
        published.seconds > 0 ? static_cast<double>(published.point_count) / published.seconds : 0;
    const std::uint64_t ahead = cache_->unconsumed_count();
    say(fmt::format("{}: {} points, {} bytes in {:.2f} s ({:.1f} M points/s); {} made, {} ahead, {} consumed", name,
                    published.point_count, published.byte_count, published.seconds, points_per_second_ / 1e6,
                    made_count(), ahead, made_count() - std::min(ahead, made_count())));
    report_status(produce_activity::waiting_for_consumer, {}, 0, ahead);
  }

  void wait_for_consumer() {
    std::uint64_t ahead = cache_->unconsumed_count();
    bool said = false;
    while (ahead >= options_.cycles_ahead) {
      if (!said) say(fmt::format("{} cycles lie ready; waiting for one to be consumed", ahead));
      said = true;
      report_status(produce_activity::waiting_for_consumer, {}, 0, ahead);
      watch_->wait(monitor_.descriptor(), time_left());
      const std::uint64_t now_ahead = cache_->unconsumed_count();
      if (now_ahead < ahead) last_change_ = clock::now();
      ahead = now_ahead;
      give_up_if_due();
    }
    give_up_if_due();
  }

  /// Does work that writes; while the disk is full, waits and does it again.
  template <typename Work>
  void with_room(const std::string& what, std::uint64_t bytes, Work work) {
    for (;;) {
      try {
        return work();
      } catch (const disk_full_error& failure) {
        wait_for_room(what, bytes, failure.what());
      }
    }
  }

  void wait_for_room(const std::string& what, std::uint64_t bytes, const std::string& failure) {
    const auto available = [&] {
      std::error_code unknown;
      const fs::path& cache = options_.records.out;
      const auto space = fs::space(cache_ ? cache : cache.parent_path(), unknown);
      return unknown ? std::uint64_t{0} : std::uint64_t{space.available};
    };
    say(fmt::format("no room for {}, which takes {} bytes: {} are free; waiting ({})", what, bytes, available(),
                    failure));
    // A quota does not show in the free space: from time to time only a trial tells. One of a few bytes costs nothing.
    const auto trial = clock::now() + std::chrono::seconds(bytes <= note_bytes ? 1 : 10);
    const bool misleading = available() >= bytes;
    do {
      report_status(produce_activity::waiting_for_room, {}, 0, cache_ ? cache_->unconsumed_count() : 0);
      const auto pause = std::min<clock::duration>(time_left(), std::chrono::milliseconds(500));
      if (watch_) {
        watch_->wait(monitor_.descriptor(), pause);
      } else {
        std::this_thread::sleep_for(pause);
      }
      give_up_if_due();
    } while (clock::now() < trial && (misleading || available() < bytes));
  }

  clock::duration time_left() const {
    return std::max(clock::duration::zero(), last_change_ + options_.timeout - clock::now());
  }

  void give_up_if_due() {
    if (monitor_.requested()) {
      if (monitor_.reason() != stop_reason::asked) throw giving_up{end_for(monitor_.reason())};
      control(1).throw_if_stopped();
    }
    if (watch_ && !cache_->is_announced()) throw giving_up{produce_end::cache_removed};
    if (time_left() == clock::duration::zero()) throw giving_up{produce_end::not_consumed};
  }

  folder_options folders() const {
    return {.out = cache_->root(),
            .readers = options_.records.readers,
            .compression = options_.records.compression,
            .replace = false,
            .staging = cache_->staging(),
            .synced = false};
  }

  /// The filler for work on so many batches at once by so many threads: where there are fewer batches than threads,
  /// the threads share a batch.
  const backend& filler(unsigned threads, std::uint64_t batch_count) {
    const unsigned wanted = batch_count >= threads ? 1 : threads;
    if (!filler_ || filler_threads_ != wanted) {
      filler_ = make_filler_(wanted);
      filler_threads_ = wanted;
    }
    return *filler_;
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

  /// ahead is looked up only where that has not just been done, and not for every batch.
  void report_status(produce_activity activity, std::string_view stage, double part,
                     std::optional<std::uint64_t> ahead) {
    if (!listener_.on_status) return;
    if (ahead) last_ahead_ = *ahead;
    listener_.on_status({activity, stage, part, made_count(), last_ahead_, points_per_second_});
  }

  void say(const std::string& message) const {
    if (listener_.on_message) listener_.on_message(message);
  }

  std::uint64_t made_count() const { return next_cycle_ - options_.records.first_cycle; }

  std::uint64_t value_bytes() const {
    return 4 + item_bytes(item_type_for(data_.item_count())) + 1 + (plan_.pad == padding_policy::mask ? 1 : 0);
  }
  std::uint64_t cycle_bytes() const {
    return last_cycle_bytes_ != 0 ? last_cycle_bytes_ : plan_.padded_count() * value_bytes();
  }
  std::uint64_t evaluation_bytes(const evaluation_plan& plan) const { return plan.padded_count() * value_bytes(); }

  const dataset& data_;
  const backend_maker& make_filler_;
  const produce_options& options_;
  const produce_listener& listener_;
  training_plan plan_;
  unsigned all_threads_;
  unsigned later_threads_;
  std::optional<pipeline::producer_cache> cache_;
  pipeline::stop_monitor monitor_;  // looks at a file of the cache
  std::optional<pipeline::folder_watch> watch_;
  std::unique_ptr<backend> filler_;
  unsigned filler_threads_ = 0;
  std::uint64_t next_cycle_;
  std::uint64_t last_ahead_ = 0;
  std::uint64_t last_cycle_bytes_ = 0;
  double points_per_second_ = 0;
  clock::time_point last_change_ = clock::now();
  produce_report report_{.end = produce_end::all_made};
};

void check_produce(const dataset& data, const produce_options& options) {
  generate_options one = options.records;
  one.cycle_count = 1;
  check_feasible(data, one);  // what is in the way is looked at under the lock
  if (options.cycles_ahead == 0) throw option_error("--cycles-ahead: 0 given, 1 or more wanted");
  if (options.timeout.count() <= 0) {
    throw option_error(fmt::format("--timeout: {} given, 1 second or more wanted", options.timeout.count()));
  }
  if (options.resume && options.records.replace) {
    throw option_error("--resume continues the earlier run and --force replaces it; give one of them");
  }
}

}  // namespace

produce_report produce(const dataset& data, const backend_maker& make_filler, const produce_options& options,
                       const produce_listener& listener, const run_control& control) {
  check_produce(data, options);
  return producer(data, make_filler, options, listener, control).run();
}

}  // namespace negpipe
