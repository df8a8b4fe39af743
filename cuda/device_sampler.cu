#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "device_data.hpp"
#include "fill_eval.hpp"
#include "fill_pairs.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/error.hpp"
#include "rows_from_interactions.hpp"

namespace negpipe {

namespace {

using cuda::launcher;
using detail::form_of;

training_options training_options_of(const sampler_options& options) {
  return {.seed = options.seed,
          .negatives = options.negatives,
          .epochs_per_cycle = options.epochs_per_cycle,
          .batch_size = options.batch_size,
          .padding = options.padding,
          .layout = options.layout};
}

template <typename T>
void check_column(const char* name, std::span<const T> values, std::uint64_t count, int device) {
  const std::string column = std::string("the column ") + name;
  if (values.size() != count) {
    throw option_error(column + " has " + std::to_string(values.size()) + " values, " + std::to_string(count) +
                       " wanted");
  }
  detail::check_address(column.c_str(), values.data(), sizeof(T), device);
}

void check_interactions(const device_interactions& data, int device) {
  if (data.user_count < 1) throw option_error("user_count", "1 or more wanted");
  if (data.item_count < 1) throw option_error("item_count", "1 or more wanted");
  if (data.users.empty()) throw option_error("the column users has no rows; 1 or more wanted");
  check_column("users", data.users, data.users.size(), device);
  check_column("items", data.items, data.users.size(), device);
  if (!data.timestamps.empty()) check_column("timestamps", data.timestamps, data.users.size(), device);
  if (!data.heldout.empty()) {
    check_column("heldout", data.heldout, static_cast<std::uint64_t>(data.user_count), device);
  }
}

template <typename T>
std::vector<T> download(const T* values, std::size_t count) {
  std::vector<T> copy(count);
  NEGPIPE_CUDA_CHECK(cudaMemcpy(copy.data(), values, count * sizeof(T), cudaMemcpyDeviceToHost));
  return copy;
}

std::vector<std::int64_t> download_offsets(const cuda::device_view& view) {
  return download(view.csr.user_offsets, static_cast<std::size_t>(view.user_count) + 1);
}

dataset download_rows(const cuda::device_view& view) {
  std::vector<std::int64_t> users(static_cast<std::size_t>(view.user_count));
  std::vector<std::int64_t> items(static_cast<std::size_t>(view.item_count));
  std::iota(users.begin(), users.end(), 0);
  std::iota(items.begin(), items.end(), 0);
  dataset_origin origin;
  origin.source = "columns on a device";
  return {{.user_offsets = download_offsets(view),
           .positive_items = download(view.csr.positive_items, view.positive_count),
           .heldout_items = download(view.heldout, users.size()),
           .user_ids = users,
           .item_ids = items},
          std::move(origin)};
}

__global__ void set_cursor(batch_cursor* cursor, batch_cursor value) { *cursor = value; }

void check_cursor(const training_plan& plan, batch_cursor at) {
  if (at.batch < plan.batch_count) return;
  throw option_error("batch", std::to_string(at.batch) + " given, a cycle has batches 0 to " +
                     std::to_string(plan.batch_count - 1));
}

// Loads all kernels that fills may launch, so that no capture loads one.
void load_kernels(const cuda::device_view& view, const training_plan& training,
                  const std::optional<evaluation_plan>& evaluation) {
  const launcher on{nullptr, cuda::default_block_size, true};
  const core::cycle_key key = cuda::initial_state(training).key;
  if (training.layout == batch_layout::pairwise) {
    cuda::fill_pairs_async(training, key, view, 0, 1, {}, on);
  } else {
    cuda::fill_training_async(training, key, view, 0, 1, {}, on);
    cuda::fill_next_async(training, nullptr, nullptr, 1, view, {}, on);
    on("loading of set_cursor", set_cursor, 1, nullptr, batch_cursor{});
  }
  if (evaluation) cuda::fill_evaluation_async(*evaluation, view, 0, 1, {}, nullptr, on);
}

// Calls visit(position, offset, count) for each contiguous range of positions that makes up batches [first, end).
// offset is the index of the range's first value in the columns. Batches are contiguous except for the first and last
// batch of resample padding.
template <typename Visit>
void for_each_range(const training_plan& plan, std::uint64_t first, std::uint64_t end, const Visit& visit) {
  const std::uint64_t last = plan.pad == padding_policy::resample ? plan.batch_count - 1 : plan.batch_count;
  for (std::uint64_t batch = first; batch < end;) {
    const std::uint64_t position = plan.first_position(batch);
    const bool is_moved = position != batch * plan.batch_size;
    const std::uint64_t next = is_moved ? batch + 1 : std::max(batch + 1, std::min(end, last));
    visit(position, (batch - first) * plan.batch_size, (next - batch) * plan.batch_size);
    batch = next;
  }
}

// Uploads the weights of the options, those for training and evaluation once if they are equal, and sets those of the
// plans.
void take_weights(detail::device_data& to, const dataset& data, const sampler_options& options,
                  training_plan& training, std::optional<evaluation_plan>& evaluation) {
  if (!options.weights.is_uniform()) {
    to.weights = to.upload(dataset_weights(data, options.weights), data.positive_count());
    training.weights = to.weights.host_draw();
  }
  if (!evaluation) return;
  const item_weights& of_rows = options.evaluation->weights;
  to.evaluation_weights = std::ranges::equal(of_rows.values(), options.weights.values())
                              ? to.weights.borrowed()
                              : to.upload(dataset_weights::for_evaluation(data, of_rows), data.positive_count());
  evaluation->weights = to.evaluation_weights.host_draw();
}

std::uint64_t rows_per_batch(const evaluation_plan& plan) { return plan.batch_size / plan.row_length(); }

}  // namespace

device_sampler::device_sampler(const dataset& data, const sampler_options& options, const device_options& on)
    : training_(plan_training(data, training_options_of(options))) {
  if (options.evaluation) {
    if (needs_evaluation_rows(data, *options.evaluation)) {
      throw option_error(
          "evaluation: device_sampler does not evaluate a dataset with a validation set; use sampler, or give "
          "device_sampler what evaluation_rows() returns");
    }
    evaluation_ = plan_evaluation(data, *options.evaluation, options.seed);
  }
  const cuda::device_guard current(cuda::checked_device(on.device));
  const auto made = std::make_shared<detail::device_data>(on);
  take_weights(*made, data, options, training_, evaluation_);
  made->take(cuda::device_dataset::upload_async(data, options.bitset_budget, form_of(on), *made->memory, on.stream));
  load_kernels(made->dataset->view(), training_, evaluation_);
  data_ = made;
}

device_sampler::device_sampler(const device_interactions& data, const sampler_options& options,
                               const device_options& on) {
  const cuda::device_guard current(cuda::checked_device(on.device));
  check_interactions(data, on.device);
  const auto made = std::make_shared<detail::device_data>(on);
  made->take(cuda::device_dataset::build_async(cuda::rows_from_interactions(data, *made->memory, on.stream),
                                               data.item_count, options.bitset_budget, form_of(on), *made->memory,
                                               on.stream));
  const cuda::device_view view = made->dataset->view();
  training_ = plan_training(view.positive_count, view.item_count, training_options_of(options));
  const bool has_weighted_rows = options.evaluation && !options.evaluation->weights.is_uniform();
  if (has_weighted_rows || !options.weights.is_uniform()) {
    // Tables and checks of weights need the items of each user on the host.
    const dataset rows = download_rows(view);
    if (options.evaluation) evaluation_ = plan_evaluation(rows, *options.evaluation, options.seed);
    take_weights(*made, rows, options, training_, evaluation_);
    NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(on.stream));
  } else if (options.evaluation) {
    evaluation_ = plan_evaluation(download_offsets(view), view.item_count, *options.evaluation, options.seed);
  }
  load_kernels(made->dataset->view(), training_, evaluation_);
  data_ = made;
}

std::string device_sampler::description() const { return data_->description(); }

void device_sampler::fill(std::uint32_t cycle, std::uint64_t first, std::uint64_t count, const training_columns& out,
                          device_stream stream) const {
  if (first > batch_count() || count > batch_count() - first) {
    throw option_error("batches " + std::to_string(first) + " to " + std::to_string(first) + " + " +
                       std::to_string(count) + " given, a cycle has " + std::to_string(batch_count()));
  }
  const core::cycle_key key = make_cycle_key(training_, cycle);
  check_training_fill(training_, key, data_->counts, 0, count * training_.batch_size, out, data_->location());
  const cuda::device_guard current(data_->device);
  const cuda::target_columns target = cuda::target_columns::make(pointers_of(out));
  const training_plan plan = data_->on_device(training_);
  for_each_range(training_, first, first + count,
                 [&](std::uint64_t position, std::uint64_t offset, std::uint64_t length) {
                   cuda::fill_training_async(plan, key, data_->dataset->view(), position, length,
                                             target.skip(offset).columns, launcher{stream});
                 });
}

void device_sampler::fill_points(std::uint32_t cycle, std::uint64_t first, std::uint64_t count,
                                 const training_columns& out, device_stream stream) const {
  const core::cycle_key key = make_cycle_key(training_, cycle);
  check_training_fill(training_, key, data_->counts, first, count, out, data_->location());
  if (count == 0) return;
  const cuda::device_guard current(data_->device);
  cuda::fill_training_async(data_->on_device(training_), key, data_->dataset->view(), first, count, pointers_of(out),
                            launcher{stream});
}

void device_sampler::fill(std::uint32_t cycle, std::uint64_t batch, const pair_columns& out,
                          device_stream stream) const {
  if (batch >= batch_count()) {
    throw option_error("batch " + std::to_string(batch) + " given, a cycle has " + std::to_string(batch_count()));
  }
  fill_rows(cycle, training_.first_position(batch), training_.batch_size, out, stream);
}

void device_sampler::fill_rows(std::uint32_t cycle, std::uint64_t first, std::uint64_t count, const pair_columns& out,
                               device_stream stream) const {
  const core::cycle_key key = make_cycle_key(training_, cycle);
  check_pair_fill(training_, key, data_->counts, first, count, out, data_->location());
  if (count == 0) return;
  const cuda::device_guard current(data_->device);
  cuda::fill_pairs_async(data_->on_device(training_), key, data_->dataset->view(), first, count, pointers_of(out),
                         launcher{stream});
}

std::uint64_t device_sampler::evaluation_workspace_bytes() const {
  if (!evaluation_) return 0;
  const cuda::device_guard current(data_->device);
  return cuda::evaluation_workspace_bytes(*evaluation_, data_->dataset->view(), rows_per_batch(*evaluation_));
}

void device_sampler::fill_evaluation(std::uint64_t batch, const evaluation_columns& out,
                                     std::span<std::byte> workspace, device_stream stream) const {
  if (batch >= evaluation_batch_count()) {
    throw option_error("evaluation batch " + std::to_string(batch) + " given, there are " +
                       std::to_string(evaluation_batch_count()) +
                       (evaluation_ ? "" : "; set `evaluation` in the options"));
  }
  const std::uint64_t rows = rows_per_batch(*evaluation_);
  fill_evaluation_rows(batch * rows, rows, out, workspace, stream);
}

void device_sampler::fill_evaluation_rows(std::uint64_t first, std::uint64_t count, const evaluation_columns& out,
                                          std::span<std::byte> workspace, device_stream stream) const {
  if (!evaluation_) throw option_error("there is no evaluation data; set `evaluation` in the options");
  if (const std::uint64_t limit = rows_per_batch(*evaluation_); count > limit) {
    throw option_error(std::to_string(count) + " evaluation rows given, a batch has " + std::to_string(limit));
  }
  check_evaluation_fill(*evaluation_, data_->counts, first, count, out, data_->location());
  const std::uint64_t wanted = evaluation_workspace_bytes();
  if (workspace.size() < wanted) {
    throw option_error("workspace", std::to_string(workspace.size()) + " bytes given, " + std::to_string(wanted) +
                       " wanted; see evaluation_workspace_bytes");
  }
  if (wanted != 0) {
    check_column("workspace", std::span(reinterpret_cast<const std::uint32_t*>(workspace.data()), 1), 1,
                 data_->device);
  }
  const cuda::device_guard current(data_->device);
  cuda::fill_evaluation_async(data_->on_device(*evaluation_), data_->dataset->view(), first, count, pointers_of(out),
                              workspace.data(), launcher{stream});
}

device_replay device_sampler::make_replay(batch_cursor begin, std::uint32_t batches_per_fill) const {
  if (training_.layout != batch_layout::pointwise) {
    throw option_error("layout", "pairwise given, a replay makes pointwise batches; queue each batch with fill");
  }
  check_cursor(training_, begin);
  const std::uint64_t limit = std::min<std::uint64_t>(batch_count(), 65'535);
  if (batches_per_fill == 0 || batches_per_fill > limit) {
    throw option_error("batches_per_fill", std::to_string(batches_per_fill) + " given, 1 to " +
                       std::to_string(limit) + " wanted");
  }
  const cuda::device_guard current(data_->device);
  const auto made = std::make_shared<detail::replay_data>(data_, training_, batches_per_fill);
  const device_replay replay(made);
  replay.seek(begin, data_->stream);
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(data_->stream));
  return replay;
}

namespace detail {

replay_data::replay_data(std::shared_ptr<const device_data> owner, const training_plan& of, std::uint32_t batches)
    : data(std::move(owner)),
      plan(data->on_device(of)),
      initial(cuda::initial_state(plan)),
      cursor(1, *data->memory, data->stream),
      states(batches, *data->memory, data->stream) {
  const std::vector<cuda::cursor_state> values(batches, initial);
  NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(states.data(), values.data(), states.size_bytes(), cudaMemcpyHostToDevice,
                                     data->stream));
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(data->stream));
}

replay_data::~replay_data() {
  const cuda::quiet_device_guard current(data->device);
  cuda::ignore(cudaDeviceSynchronize());
  states = {};
  cursor = {};
}

}  // namespace detail

void device_replay::fill_next(const training_columns& out, device_stream stream) const {
  const auto batches = static_cast<unsigned>(data_->states.size());
  check_training_fill(data_->plan, data_->initial.key, data_->data->counts, 0, batches * data_->plan.batch_size, out,
                      data_->data->location());
  const cuda::device_guard current(data_->data->device);
  cuda::fill_next_async(data_->plan, data_->cursor.data(), data_->states.data(), batches,
                        data_->data->dataset->view(), pointers_of(out), launcher{stream});
}

void device_replay::seek(batch_cursor next, device_stream stream) const {
  check_cursor(data_->plan, next);
  const cuda::device_guard current(data_->data->device);
  launcher one{stream};
  one.block_size = 1;
  one("launch of set_cursor", set_cursor, 1, data_->cursor.data(), next);
}

const batch_cursor* device_replay::cursor() const { return data_->cursor.data(); }

batch_cursor device_replay::position(device_stream stream) const {
  const cuda::device_guard current(data_->data->device);
  batch_cursor found;
  NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(&found, data_->cursor.data(), sizeof(found), cudaMemcpyDeviceToHost, stream));
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  return found;
}

}  // namespace negpipe
