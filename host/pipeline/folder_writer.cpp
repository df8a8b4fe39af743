#include "folder_writer.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "format.hpp"
#include "negpipe/error.hpp"
#include "ready_file.hpp"
#include "record_lane.hpp"
#include "record_set.hpp"
#include "thread_pool.hpp"

namespace negpipe {

namespace fs = std::filesystem;

fs::path cycle_folder(const fs::path& out, std::uint64_t cycle) {
  return out / record::training_folder / record::cycle_folder_name(cycle);
}

fs::path evaluation_folder(const fs::path& out) { return out / record::evaluation_folder; }

std::vector<std::string> record_files_of(const fs::path& folder) {
  return record_files_of(record::read_ready_file(folder));
}

std::vector<std::string> record_files_of(const record::ready_file& ready) {
  std::vector<std::string> names{std::string(record::ready_file_name)};
  for (const record::record_file& file : ready.files) {
    names.push_back(file.name);
    names.push_back(file.name + std::string(record::index_suffix));
  }
  return names;
}

namespace {

using clock = std::chrono::steady_clock;

/// Properties of a folder that differ between a cycle and the evaluation data.
struct folder_job {
  std::string stage;            ///< for progress
  std::string_view unit = "points";  ///< for progress: what batch_size counts
  fs::path folder;
  std::string_view prefix;      ///< of file names
  std::uint64_t batch_size;
  std::uint64_t batch_count;
  sampler source;
  batch_source batches;
  record::ready_file ready;     ///< without the list of files
};

/// Points written, of all points of a folder or part.
struct point_progress {
  std::uint64_t done = 0;
  std::uint64_t total;
};

/// Fills, encodes and writes all batches of some files in parallel, each in one thread. If there are fewer batches than
/// threads, all threads fill each batch together.
void write_batches(const folder_job& job, const file_layout& layout, record::file_range range,
                   const record::record_template& shape, record::record_set& files, point_progress& points,
                   const run_control& control) {
  batch_order order(layout, range);
  std::atomic<bool> failed{false};
  std::mutex progress_mutex;
  const std::uint64_t batches = layout.first_batch(range.first + range.count) - layout.first_batch(range.first);
  if (batches == 0) return;
  const unsigned threads = control.threads == 0 ? job.source.threads() : control.thread_count();
  const auto workers = static_cast<unsigned>(std::min<std::uint64_t>(threads, batches));
  const sampler source = job.source.with_threads(workers == threads ? 1 : threads);
  support::thread_pool pool(workers);
  pool.for_each(workers, [&](std::uint64_t) {
    try {
      const std::unique_ptr<record_lane> lane = make_record_lane(job.batches, source, shape, order);
      while (!failed.load(std::memory_order_relaxed)) {
        control.throw_if_stopped();
        std::uint64_t batch = 0;
        const std::span<const std::byte> record = lane->next(batch);
        if (record.empty()) break;
        files.write(batch, record);
        const std::lock_guard lock(progress_mutex);
        points.done += job.batch_size;
        control.report({job.stage, job.unit, points.done, points.total});
      }
    } catch (...) {
      failed = true;  // the other workers stop at their next batch, or in write()
      files.cancel();
      throw;
    }
  });
}

double seconds_since(clock::time_point begin) { return std::chrono::duration<double>(clock::now() - begin).count(); }

/// Writes the files of one part, one after the other, so that a killed run loses one file at most.
published_folder write_files_of_part(const folder_job& job, const folder_options& options,
                                     const run_control& control) {
  const auto begin = clock::now();
  const pipeline::part_task& task = *options.part;
  const file_layout layout{job.batch_count, options.readers};
  const record::record_template shape(job.batches.shape.columns);
  std::uint64_t batches = 0;
  for (std::uint32_t f = task.part; f < options.readers; f += task.run.part_count) batches += layout.batches_in(f);
  point_progress points{.total = batches * job.batch_size};
  const auto make = [&](const fs::path& folder, std::uint32_t f) {
    record::record_set files(folder, job.prefix, layout, {f, 1}, shape.record_bytes(), options.compression);
    write_batches(job, layout, {f, 1}, shape, files, points, control);
    record::record_file made = files.finish().front();
    job.source.data().check_unchanged();
    return made;
  };
  const auto cycle = job.ready.kind == record::record_kind::train ? std::optional<std::uint64_t>(job.ready.cycle)
                                                                  : std::nullopt;
  const pipeline::part_outcome outcome =
      write_part(task, {job.folder, cycle, job.prefix, layout, options.compression, make});
  return {outcome.folder,         points.total,
          outcome.byte_count,     seconds_since(begin),
          outcome.kept_file_count, outcome.is_published};
}

/// Writes one folder and publishes it.
published_folder write_folder(const folder_job& job, const folder_options& options, const run_control& control) {
  if (options.part) return write_files_of_part(job, options, control);
  const auto begin = clock::now();
  support::staged_folder staging(job.folder, options.replace ? std::optional(record_folder_kind) : std::nullopt,
                                 options.staging);
  const file_layout layout{job.batch_count, options.readers};
  const record::record_template shape(job.batches.shape.columns);
  record::record_set files(staging.path(), job.prefix, layout, shape.record_bytes(), options.compression);
  point_progress points{.total = job.batch_count * job.batch_size};
  write_batches(job, layout, {0, options.readers}, shape, files, points, control);

  published_folder published{.path = job.folder, .point_count = job.batch_count * job.batch_size};
  record::ready_file ready = job.ready;
  ready.files = files.finish();
  control.throw_if_stopped();
  job.source.data().check_unchanged();
  record::write_ready_file(staging.path(), ready);
  options.publish ? options.publish(staging) : staging.publish();
  for (const auto& file : ready.files) published.byte_count += file.byte_count;
  published.seconds = seconds_since(begin);
  return published;
}

/// Returns the fields of ready.json that cycles and evaluation data share. weights: of the negatives.
record::ready_file describe(const sampler& source, const item_weights& weights, const folder_options& options) {
  const dataset& data = source.data();
  record::ready_file ready;
  ready.items = source.item_width();
  ready.compression = options.compression;
  ready.dataset_digest = data.digest();
  ready.user_count = static_cast<std::uint64_t>(data.user_count());
  ready.item_count = static_cast<std::uint64_t>(data.item_count());
  ready.positive_count = data.positive_count();
  ready.distribution = weights.distribution();
  ready.alpha = weights.alpha();
  ready.weights_digest = weights.digest();
  return ready;
}

batch_shape training_shape_of(const sampler& source) {
  const training_plan& plan = source.plan();
  const bool with_mask = plan.pad == padding_policy::mask;
  if (plan.layout == batch_layout::pairwise) {
    return pair_shape(plan.batch_size, plan.negatives, source.item_width(), with_mask);
  }
  return training_shape(plan.batch_size, source.item_width(), with_mask);
}

batch_shape evaluation_shape_of(const sampler& source) {
  return evaluation_shape(source.evaluation_plan().batch_size, source.item_width());
}

batch_source batches_of_cycle(const sampler& source, std::uint32_t cycle) {
  const bool is_pairwise = source.plan().layout == batch_layout::pairwise;
  return {.shape = training_shape_of(source),
          .fill =
              [=](const sampler& from, std::uint64_t batch, batch_buffers& buffers) {
                is_pairwise ? from.fill(cycle, batch, buffers.pairs()) : from.fill(cycle, batch, buffers.training());
              },
          .make_queue = [](const sampler& from) { return from.make_queue(); },
          .push =
              [=, key = make_cycle_key(source.plan(), cycle)](const sampler& from, std::uint64_t batch,
                                                              fill_queue& queue, column_bytes out) {
                const training_plan& plan = from.plan();
                const auto push = is_pairwise ? &fill_queue::push_pairs : &fill_queue::push_training;
                (queue.*push)(plan, key, plan.first_position(batch), plan.batch_size, out);
              }};
}

batch_source batches_of_evaluation(const sampler& source) {
  return {.shape = evaluation_shape_of(source),
          .fill = [](const sampler& from, std::uint64_t batch,
                     batch_buffers& buffers) { from.fill_evaluation(batch, buffers.evaluation()); },
          .make_queue = [](const sampler& from) { return from.make_evaluation_queue(); },
          .push =
              [](const sampler& from, std::uint64_t batch, fill_queue& queue, column_bytes out) {
                const evaluation_plan& plan = from.evaluation_plan();
                const std::uint64_t rows = plan.batch_size / plan.row_length();
                queue.push_evaluation(plan, batch * rows, rows, out);
              }};
}

}  // namespace

void check_readers(std::uint32_t readers) {
  if (readers >= 1 && readers <= max_readers) return;
  throw option_error("readers", fmt::format("{} given, 1 to {} wanted", readers, max_readers));
}

void check_outside(const dataset& data, const fs::path& out) {
  if (data.folder().empty() || !support::lies_in(out, data.folder())) return;
  throw option_error("out", out.string() + " lies in the dataset " + data.folder().string() +
                                ", which is replaced as a whole; choose a folder elsewhere");
}

void check_records(const sampler& source) {
  (void)record::record_template(training_shape_of(source).columns);
  if (source.has_evaluation()) (void)record::record_template(evaluation_shape_of(source).columns);
}

record::ready_file describe_cycle(const sampler& source, const folder_options& options, std::uint32_t cycle) {
  const training_plan& plan = source.plan();
  record::ready_file ready = describe(source, source.options().weights, options);
  ready.kind = record::record_kind::train;
  ready.seed = plan.seed;
  ready.batch_size = plan.batch_size;
  ready.batch_count = plan.batch_count;
  ready.point_count = plan.point_count;
  ready.negatives = plan.negatives;
  ready.cycle = cycle;
  ready.epochs_per_cycle = plan.epochs;
  ready.padding = plan.pad;
  ready.layout = plan.layout;
  return ready;
}

record::ready_file describe_evaluation(const sampler& source, const folder_options& options) {
  const evaluation_plan& plan = source.evaluation_plan();
  record::ready_file ready = describe(source, source.options().evaluation->weights, options);
  ready.kind = record::record_kind::eval;
  ready.seed = plan.seed;
  ready.batch_size = plan.batch_size;
  ready.batch_count = plan.batch_count;
  ready.point_count = plan.element_count();
  ready.negatives = plan.negatives;
  ready.mlperf = plan.with_replacement;
  ready.evaluated = source.options().evaluation->set;
  if (plan.fewer) ready.infeasible = infeasible_policy::fewer;
  ready.skipped_users = skipped_users(source.data(), *source.options().evaluation);
  return ready;
}

published_folder write_cycle(const sampler& source, const folder_options& options, std::uint32_t cycle,
                             const run_control& control) {
  const training_plan& plan = source.plan();
  folder_job job{.stage = "cycle " + std::to_string(cycle),
                 .folder = cycle_folder(options.out, cycle),
                 .prefix = record::training_prefix,
                 .batch_size = plan.batch_size,
                 .batch_count = plan.batch_count,
                 .source = source,
                 .batches = batches_of_cycle(source, cycle),
                 .ready = describe_cycle(source, options, cycle)};
  if (plan.layout == batch_layout::pairwise) job.unit = "rows";
  return write_folder(job, options, control);
}

published_folder write_evaluation(const sampler& source, const folder_options& options, const run_control& control) {
  const evaluation_plan& plan = source.evaluation_plan();
  const folder_job job{.stage = "evaluation",
                 .folder = evaluation_folder(options.out),
                 .prefix = record::evaluation_prefix,
                 .batch_size = plan.batch_size,
                 .batch_count = plan.batch_count,
                 .source = source,
                 .batches = batches_of_evaluation(source),
                 .ready = describe_evaluation(source, options)};
  return write_folder(job, options, control);
}

}  // namespace negpipe
