#include "record_claims.hpp"

#include <fmt/format.h>

#include <string>

#include "batch_columns.hpp"
#include "files.hpp"
#include "negpipe/error.hpp"
#include "negpipe/version.hpp"
#include "parts.hpp"

namespace negpipe::pipeline {

/// Reads ready.json or, in the hidden folder of a run in parts, the note of the part.
bool record_claims::read_ready() {
  const std::uint32_t part = run_.options.part.value_or(run_part{}).index;
  ready_path_ = listing_path(folder_, part);
  try {
    ready_ = record::parse_ready_text(read_listing(folder_, part).ready_json, ready_path_.string());
  } catch (const format_error& e) {
    run_.fail(ready_path_, e.what());
    return false;
  }
  return true;
}

bool record_claims::read() {
  if (!read_ready()) return false;
  refuse_other_origin();
  weights_ = find_weights();
  try {
    make_checks();
  } catch (const error& e) {
    run_.fail(ready_path_, e.what());
  }
  return columns_check_ != nullptr;
}

/// Throws if the records were made from other data or by another stream version: then they cannot be checked.
void record_claims::refuse_other_origin() const {
  if (ready_.dataset_digest != run_.data.digest()) {
    throw format_error(ready_path_.string() + ": made from the dataset " + ready_.dataset_digest + ", but " +
                       run_.data.digest() + " was given; verify with the dataset that it was generated from");
  }
  if (ready_.stream_version != stream_version) {
    throw format_error(ready_path_.string() + ": made by stream version " + std::to_string(ready_.stream_version) +
                       ", this program has " + std::to_string(stream_version) + "; verify with negpipe " +
                       ready_.library_version);
  }
}

void record_claims::expect(std::string_view field, std::uint64_t found, std::uint64_t wanted) const {
  if (found == wanted) return;
  run_.fail(ready_path_, fmt::format("\"{}\" is {}, {} wanted", field, found, wanted));
}

/// Returns the weights that the records were drawn with. Throws option_error if they are not known.
item_weights record_claims::find_weights() const {
  const item_weights& given = folder_.is_evaluation ? run_.options.eval_weights : run_.options.weights;
  const char* const field = folder_.is_evaluation ? "eval_weights" : "weights";
  if (ready_.distribution == "uniform") {
    if (given.is_uniform()) return {};
    throw option_error(field, ready_path_.string() + " has negatives that were drawn uniformly; leave the weights out");
  }
  const bool recomputed = ready_.distribution == "popularity" && given.is_uniform();
  const item_weights found = recomputed ? popularity_weights(run_.data, ready_.alpha) : given;
  if (found.digest() == ready_.weights_digest) return found;
  const std::string start = ready_path_.string() + ": drawn with weights of the digest " + ready_.weights_digest;
  if (recomputed) throw format_error(start + ", but those of its alpha have " + found.digest());
  const std::string reason =
      found.is_uniform() ? "; give these weights" : ", but the given ones have " + found.digest();
  throw option_error(field, start + reason);
}

/// Returns the sampler that made these records, according to ready.json.
sampler record_claims::make_sampler() {
  sampler_options options{.seed = ready_.seed, .device = run_.options.device, .threads = 1};
  if (folder_.is_evaluation) {
    options.evaluation = evaluation_options{ready_.negatives, ready_.batch_size, ready_.mlperf, ready_.infeasible};
    options.evaluation->set = ready_.evaluated;
    options.evaluation->weights = weights_;
    if (needs_evaluation_rows(run_.data, *options.evaluation)) {
      (void)plan_evaluation(run_.data, *options.evaluation, options.seed);
      const std::uint64_t bitset_budget = weights_.is_uniform() ? 0 : run_.options.bitset_budget;
      evaluation_index_.emplace(evaluation_rows(run_.data, *options.evaluation), bitset_budget, run_.control);
      options.evaluation->set = heldout_set::test;
    }
  } else {
    options.negatives = ready_.negatives;
    options.epochs_per_cycle = ready_.epochs_per_cycle;
    options.batch_size = ready_.batch_size;
    options.padding = ready_.padding;
    options.layout = ready_.layout;
    options.weights = weights_;
  }
  const bool needs_own = evaluation_index_ || !weights_.is_uniform();  // rows or weights that run_.filler has not
  const sampler source = needs_own ? sampler(index(), options) : sampler(index(), run_.filler, options);
  // With fewer batches than threads, all threads fill each batch together.
  const unsigned threads = run_.pool.thread_count();
  return source.with_threads(ready_.batch_count >= threads ? 1 : threads);
}

void record_claims::make_checks() {
  const item_type items = item_type_for(run_.data.item_count());
  const bool is_evaluation = ready_.kind == record::record_kind::eval;
  if (is_evaluation != folder_.is_evaluation) {
    run_.fail(ready_path_, "\"kind\" does not match this folder");
    return;
  }
  if (ready_.items != items) {
    run_.fail(ready_path_, "the dtype of item_id does not match the number of items");
    return;
  }
  columns_ = columns_of(ready_);
  expect("user_count", ready_.user_count, static_cast<std::uint64_t>(run_.data.user_count()));
  expect("item_count", ready_.item_count, static_cast<std::uint64_t>(run_.data.item_count()));
  expect("positive_count", ready_.positive_count, run_.data.positive_count());
  source_ = make_sampler();
  std::uint64_t batches = 0;
  if (is_evaluation) {
    const evaluation_plan& plan = source_->evaluation_plan();
    expect("point_count", ready_.point_count, plan.element_count());
    columns_check_ = make_evaluation_column_check(*source_, index().view());
    batches = plan.batch_count;
  } else {
    expect("cycle", ready_.cycle, folder_.cycle);
    const training_plan& plan = source_->plan();
    expect("point_count", ready_.point_count, plan.point_count);
    const auto make_check =
        plan.layout == batch_layout::pairwise ? make_pair_column_check : make_training_column_check;
    columns_check_ = make_check(*source_, ready_.cycle, run_.index.view());
    batches = plan.batch_count;
  }
  expect("batch_count", ready_.batch_count, batches);
  // File sizes are bounded by batch_count.
  if (ready_.batch_count != batches) columns_check_.reset();
  layout_ = {batches, static_cast<std::uint32_t>(ready_.files.size())};
}

std::unique_ptr<record_checker> record_claims::make_checker() const {
  core::positives_view positives = index().view();
  positives.form = core::membership::sorted_search;  // the reference for the other forms
  if (folder_.is_evaluation) return make_evaluation_checker(source_->evaluation_plan(), positives);
  const auto make = ready_.layout == batch_layout::pairwise ? make_pair_checker : make_training_checker;
  return make(source_->plan(), ready_.cycle, positives, !run_.options.part);
}

}  // namespace negpipe::pipeline
