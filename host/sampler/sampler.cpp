#include "negpipe/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "negpipe/error.hpp"

namespace negpipe {

namespace {

training_options training_part(const sampler_options& options) {
  return {options.seed,       options.negatives, options.epochs_per_cycle,
          options.batch_size, options.padding,   options.layout};
}

std::optional<evaluation_plan> evaluation_part(const dataset& data, const sampler_options& options) {
  if (!options.evaluation) return {};
  return plan_evaluation(data, *options.evaluation, options.seed);
}

// A CUDA backend builds the membership structures on the device, so the host's wait until a CPU backend needs them.
positives_index index_for(const dataset& data, const sampler_options& options, const run_control& control) {
  const bool may_be_cuda = options.device != "cpu" && list_backends().front().available;
  if (may_be_cuda) return positives_index::deferred(data, options.bitset_budget);
  return {data, options.bitset_budget, control};
}

training_plan planned(const dataset& data, const sampler_options& options, const dataset_weights& weights) {
  training_plan plan = plan_training(data, training_part(options));
  if (weights.draw() != nullptr) plan.weights = *weights.draw();
  return plan;
}

void check_batch(const char* what, std::uint64_t batch, std::uint64_t batch_count) {
  if (batch < batch_count) return;
  throw option_error(fmt::format("{}: {} given, 0 to {} wanted", what, batch, batch_count - 1));
}

}  // namespace

/// The state that copies share, independent of their number of threads.
struct sampler::state {
  sampler_options options;
  dataset_weights weights;
  training_plan plan;
  std::optional<negpipe::evaluation_plan> evaluation;
  positives_index index;
  std::optional<positives_index> evaluation_index;  // if evaluation needs rows of its own
  dataset_weights evaluation_weights;               // of these rows

  // Plans come first, so that invalid options are rejected before the index is built.
  state(const dataset& data, const sampler_options& given, const run_control& control)
      : options(given),
        weights(data, given.weights),
        plan(planned(data, given, weights)),
        evaluation(evaluation_part(data, given)),
        index(index_for(data, given, control)) {
    if (!given.evaluation) return;
    const dataset rows = evaluation_rows(data, *given.evaluation);
    set_evaluation_weights(rows);
    if (!needs_evaluation_rows(data, *given.evaluation)) return;
    sampler_options how = given;
    const bool looks_up = given.evaluation->mlperf || !given.evaluation->weights.is_uniform();
    if (!looks_up) how.bitset_budget = 0;  // distinct uniform negatives are made from sorted rows
    evaluation_index.emplace(index_for(rows, how, control));
  }

  state(const positives_index& made, const sampler_options& given)
      : options(given),
        weights(made.source(), given.weights),
        plan(planned(made.source(), given, weights)),
        evaluation(evaluation_part(made.source(), given)),
        index(made) {
    if (given.evaluation && needs_evaluation_rows(made.source(), *given.evaluation)) {
      throw option_error("evaluation: this dataset has a validation set: give the index of evaluation_rows()");
    }
    if (given.evaluation) set_evaluation_weights(made.source());
  }

  /// rows: the dataset, or one with rows of its own for evaluation. Equal weights of the same rows share their tables.
  void set_evaluation_weights(const dataset& rows) {
    const item_weights& of_rows = options.evaluation->weights;
    const bool has_own_rows = rows.user_offsets().data() != index.source().user_offsets().data();
    evaluation_weights = !has_own_rows && std::ranges::equal(of_rows.values(), options.weights.values())
                             ? weights
                             : dataset_weights::for_evaluation(rows, of_rows);
    if (evaluation_weights.draw() != nullptr) evaluation->weights = *evaluation_weights.draw();
  }

  core::cycle_key key(std::uint64_t cycle) const {
    check_cycles(cycle, 1);
    return make_cycle_key(plan, static_cast<std::uint32_t>(cycle));
  }
};

namespace {

run_control with_threads_of(const run_control& control, unsigned threads) {
  run_control own = control;
  if (threads != 0) own.threads = threads;
  return own;
}

}  // namespace

sampler::sampler(const dataset& data, const sampler_options& options, const run_control& control)
    : threads_(with_threads_of(control, options.threads).thread_count()) {
  shared_ = std::make_shared<const state>(data, options, with_threads_of(control, threads_));
  make_backends();
}

sampler::sampler(const positives_index& index, const sampler_options& options)
    : shared_(std::make_shared<const state>(index, options)),
      threads_(run_control{.threads = options.threads}.thread_count()) {
  make_backends();
}

void sampler::make_backends() {
  const state& of = *shared_;
  const std::string& device = of.options.device;
  if (!of.evaluation_index) {
    evaluation_backend_ = backend_ = make_backend(device, of.index, threads_, {of.weights, of.evaluation_weights});
    return;
  }
  backend_ = make_backend(device, of.index, threads_, {of.weights});
  evaluation_backend_ = make_backend(device, *of.evaluation_index, threads_, {of.evaluation_weights});
}

sampler::sampler(const positives_index& index, std::shared_ptr<const backend> filler, const sampler_options& options)
    : shared_(std::make_shared<const state>(index, options)),
      backend_(std::move(filler)),
      evaluation_backend_(backend_),
      threads_(run_control{.threads = options.threads}.thread_count()) {}

sampler::sampler(std::shared_ptr<const state> shared, std::shared_ptr<const backend> filler,
                 std::shared_ptr<const backend> evaluation_filler, unsigned threads)
    : shared_(std::move(shared)),
      backend_(std::move(filler)),
      evaluation_backend_(std::move(evaluation_filler)),
      threads_(threads) {}

sampler sampler::with_threads(unsigned threads) const {
  const unsigned count = run_control{.threads = threads}.thread_count();
  if (count == threads_) return *this;
  const auto changed = [&](const std::shared_ptr<const backend>& filler) {
    std::shared_ptr<const backend> other = filler->with_threads(count);
    return other ? other : filler;
  };
  const std::shared_ptr<const backend> filler = changed(backend_);
  return {shared_, filler, evaluation_backend_ == backend_ ? filler : changed(evaluation_backend_), count};
}

std::uint64_t sampler::batch_count() const { return shared_->plan.batch_count; }

training_batch sampler::make_batch() const {
  return {shared_->plan.batch_size, item_width(), shared_->plan.pad == padding_policy::mask};
}

std::shared_ptr<std::byte[]> sampler::allocate_host(std::size_t bytes) const { return backend_->allocate_host(bytes); }

std::unique_ptr<fill_queue> sampler::make_queue() const { return backend_->make_queue(); }

std::unique_ptr<fill_queue> sampler::make_evaluation_queue() const { return evaluation_backend_->make_queue(); }

void sampler::fill(std::uint64_t cycle, std::uint64_t batch, const training_columns& out) const {
  check_batch("batch", batch, batch_count());
  fill_points(cycle, shared_->plan.first_position(batch), shared_->plan.batch_size, out);
}

pair_batch sampler::make_pair_batch() const {
  const training_plan& plan = shared_->plan;
  return {plan.batch_size, plan.negatives, item_width(), plan.pad == padding_policy::mask};
}

void sampler::fill(std::uint64_t cycle, std::uint64_t batch, const pair_columns& out) const {
  check_batch("batch", batch, batch_count());
  fill_rows(cycle, shared_->plan.first_position(batch), shared_->plan.batch_size, out);
}

void sampler::fill_rows(std::uint64_t cycle, std::uint64_t first, std::uint64_t count, const pair_columns& out) const {
  backend_->fill_pairs(shared_->plan, shared_->key(cycle), first, count, out);
}

void sampler::fill_points(std::uint64_t cycle, std::uint64_t first, std::uint64_t count,
                          const training_columns& out) const {
  backend_->fill_training(shared_->plan, shared_->key(cycle), first, count, out);
}

std::uint64_t sampler::evaluation_batch_count() const { return evaluation_plan().batch_count; }

evaluation_batch sampler::make_evaluation_batch() const { return {evaluation_plan().batch_size, item_width()}; }

void sampler::fill_evaluation(std::uint64_t batch, const evaluation_columns& out) const {
  const negpipe::evaluation_plan& rows = evaluation_plan();
  check_batch("evaluation batch", batch, rows.batch_count);
  const std::uint64_t rows_per_batch = rows.batch_size / rows.row_length();
  fill_evaluation_rows(batch * rows_per_batch, rows_per_batch, out);
}

void sampler::fill_evaluation_rows(std::uint64_t first, std::uint64_t count, const evaluation_columns& out) const {
  evaluation_backend_->fill_evaluation(evaluation_plan(), first, count, out);
}

const sampler_options& sampler::options() const { return shared_->options; }
const dataset& sampler::data() const { return shared_->index.source(); }
const training_plan& sampler::plan() const { return shared_->plan; }
bool sampler::has_evaluation() const { return shared_->evaluation.has_value(); }

const negpipe::evaluation_plan& sampler::evaluation_plan() const {
  if (!shared_->evaluation) {
    throw option_error("the sampler has no evaluation: set sampler_options.evaluation when you make it");
  }
  return *shared_->evaluation;
}

item_type sampler::item_width() const { return item_type_for(data().item_count()); }

std::span<const std::int32_t> sampler::positives_of(std::int32_t user) const {
  const dataset& all = data();
  if (user < 0 || user >= all.user_count()) {
    throw option_error(fmt::format("user {} is out of range, 0 to {} wanted", user, all.user_count() - 1));
  }
  const auto u = static_cast<std::size_t>(user);
  const auto begin = static_cast<std::size_t>(all.user_offsets()[u]);
  return all.positive_items().subspan(begin, static_cast<std::size_t>(all.user_offsets()[u + 1]) - begin);
}

std::string sampler::device() const { return backend_->description(); }

std::string sampler::description() const {
  std::string text = device();
  if (shared_->options.device != "auto") return text;
  for (const backend_status& other : list_backends()) {
    if (!other.available) text += fmt::format("; {} is not used: {}", other.name, other.reason);
  }
  return text;
}

unsigned sampler::threads() const { return threads_; }

}  // namespace negpipe
