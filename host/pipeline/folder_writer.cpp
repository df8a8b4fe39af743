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

#include "batch_buffers.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "ready_file.hpp"
#include "record_set.hpp"
#include "thread_pool.hpp"

namespace negpipe {

namespace fs = std::filesystem;

fs::path cycle_folder(const fs::path& out, std::uint64_t cycle) {
  return out / record::training_folder / record::cycle_folder_name(cycle);
}

fs::path evaluation_folder(const fs::path& out) { return out / record::evaluation_folder; }

std::vector<std::string> record_files_of(const fs::path& folder) {
  std::vector<std::string> names{std::string(record::ready_file_name)};
  for (const record::record_file& file : record::read_ready_file(folder).files) {
    names.push_back(file.name);
    names.push_back(file.name + std::string(record::index_suffix));
  }
  return names;
}

namespace {

using clock = std::chrono::steady_clock;

/// Order in which the batches of a folder are made: round robin over the files, ascending within each.
class batch_order {
 public:
  explicit batch_order(const file_layout& layout) : layout_(layout) {}

  /// Returns the next batch through batch; false if none is left. Thread-safe.
  bool next(std::uint64_t& batch) {
    for (;;) {
      const std::uint64_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
      if (turn / layout_.file_count >= layout_.batches_per_file()) return false;
      const auto file = static_cast<std::uint32_t>(turn % layout_.file_count);
      const std::uint64_t within = turn / layout_.file_count;
      if (within >= layout_.batches_in(file)) continue;
      batch = layout_.first_batch(file) + within;
      return true;
    }
  }

 private:
  file_layout layout_;
  std::atomic<std::uint64_t> turn_{0};
};

/// Properties of a folder that differ between a cycle and the evaluation data.
struct folder_job {
  std::string stage;            ///< for progress
  std::string_view unit = "points";  ///< for progress: what batch_size counts
  fs::path folder;
  std::string_view prefix;      ///< of file names
  std::uint64_t batch_size;
  std::uint64_t batch_count;
  batch_shape shape;
  sampler source;
  std::function<void(const sampler& source, std::uint64_t batch, batch_buffers& buffers)> fill;
  record::ready_file ready;     ///< without the list of files
};

/// Fills, encodes and writes all batches in parallel, each in one thread. If there are fewer batches than threads, all
/// threads fill each batch together.
void write_batches(const folder_job& job, const file_layout& layout, const record::record_template& shape,
                   record::record_set& files, const run_control& control) {
  batch_order order(layout);
  std::atomic<bool> failed{false};
  std::mutex progress_mutex;
  std::uint64_t points_done = 0;
  const unsigned threads = control.threads == 0 ? job.source.threads() : control.thread_count();
  const auto workers = static_cast<unsigned>(std::min<std::uint64_t>(threads, job.batch_count));
  const sampler source = job.source.with_threads(workers == threads ? 1 : threads);
  support::thread_pool pool(workers);
  pool.for_each(workers, [&](std::uint64_t) {
    try {
      batch_buffers buffers(job.shape, source);
      std::vector<std::byte> record(shape.record_bytes());
      std::uint64_t batch = 0;
      while (!failed.load(std::memory_order_relaxed) && order.next(batch)) {
        control.throw_if_stopped();
        job.fill(source, batch, buffers);
        shape.encode(buffers.columns(), record);
        files.write(batch, record);
        const std::lock_guard lock(progress_mutex);
        points_done += job.batch_size;
        control.report({job.stage, job.unit, points_done, job.batch_count * job.batch_size});
      }
    } catch (...) {
      failed = true;  // the other workers stop at their next batch, or in write()
      files.cancel();
      throw;
    }
  });
}

/// Writes one folder and publishes it.
published_folder write_folder(const folder_job& job, const folder_options& options, const run_control& control) {
  const auto begin = clock::now();
  support::staged_folder staging(job.folder, options.replace ? std::optional(record_folder_kind) : std::nullopt,
                                 options.staging);
  const file_layout layout{job.batch_count, options.readers};
  const record::record_template shape(job.shape.columns);
  record::record_set files(staging.path(), job.prefix, layout, shape.record_bytes(), options.compression);
  write_batches(job, layout, shape, files, control);

  published_folder published{.path = job.folder, .point_count = job.batch_count * job.batch_size};
  record::ready_file ready = job.ready;
  ready.files = files.finish();
  control.throw_if_stopped();
  record::write_ready_file(staging.path(), ready);
  options.publish ? options.publish(staging) : staging.publish();
  for (const auto& file : ready.files) published.byte_count += file.byte_count;
  published.seconds = std::chrono::duration<double>(clock::now() - begin).count();
  return published;
}

/// Returns the fields of ready.json that cycles and evaluation data share.
record::ready_file describe(const sampler& source, const folder_options& options) {
  const dataset& data = source.data();
  record::ready_file ready;
  ready.items = source.item_width();
  ready.compression = options.compression;
  ready.dataset_digest = data.digest();
  ready.user_count = static_cast<std::uint64_t>(data.user_count());
  ready.item_count = static_cast<std::uint64_t>(data.item_count());
  ready.positive_count = data.positive_count();
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

published_folder write_cycle(const sampler& source, const folder_options& options, std::uint32_t cycle,
                             const run_control& control) {
  const training_plan& plan = source.plan();
  folder_job job{.stage = "cycle " + std::to_string(cycle),
                 .folder = cycle_folder(options.out, cycle),
                 .prefix = record::training_prefix,
                 .batch_size = plan.batch_size,
                 .batch_count = plan.batch_count,
                 .shape = training_shape_of(source),
                 .source = source,
                 .fill =
                     [cycle](const sampler& from, std::uint64_t batch, batch_buffers& buffers) {
                       from.plan().layout == batch_layout::pairwise ? from.fill(cycle, batch, buffers.pairs())
                                                                    : from.fill(cycle, batch, buffers.training());
                     },
                 .ready = describe(source, options)};
  if (plan.layout == batch_layout::pairwise) job.unit = "rows";
  job.ready.kind = record::record_kind::train;
  job.ready.seed = plan.seed;
  job.ready.batch_size = plan.batch_size;
  job.ready.batch_count = plan.batch_count;
  job.ready.point_count = plan.point_count;
  job.ready.negatives = plan.negatives;
  job.ready.cycle = cycle;
  job.ready.epochs_per_cycle = plan.epochs;
  job.ready.padding = plan.pad;
  job.ready.layout = plan.layout;
  const item_weights& weights = source.options().weights;
  job.ready.distribution = weights.distribution();
  job.ready.alpha = weights.alpha();
  job.ready.weights_digest = weights.digest();
  return write_folder(job, options, control);
}

published_folder write_evaluation(const sampler& source, const folder_options& options, const run_control& control) {
  const evaluation_plan& plan = source.evaluation_plan();
  folder_job job{.stage = "evaluation",
                 .folder = evaluation_folder(options.out),
                 .prefix = record::evaluation_prefix,
                 .batch_size = plan.batch_size,
                 .batch_count = plan.batch_count,
                 .shape = evaluation_shape_of(source),
                 .source = source,
                 .fill = [](const sampler& from, std::uint64_t batch,
                            batch_buffers& buffers) { from.fill_evaluation(batch, buffers.evaluation()); },
                 .ready = describe(source, options)};
  job.ready.kind = record::record_kind::eval;
  job.ready.seed = plan.seed;
  job.ready.batch_size = plan.batch_size;
  job.ready.batch_count = plan.batch_count;
  job.ready.point_count = plan.element_count();
  job.ready.negatives = plan.negatives;
  job.ready.mlperf = plan.with_replacement;
  job.ready.evaluated = source.options().evaluation->set;
  if (plan.fewer) job.ready.infeasible = infeasible_policy::fewer;
  job.ready.skipped_users = skipped_users(source.data(), *source.options().evaluation);
  return write_folder(job, options, control);
}

}  // namespace negpipe
