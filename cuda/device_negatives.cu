#include "negpipe/device_negatives.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "device_data.hpp"
#include "free_draws.hpp"
#include "negpipe/error.hpp"
#include "problems.hpp"

namespace negpipe {

namespace {

using cuda::launcher;

std::string numbered(const char* what, std::uint64_t index) {
  return std::string("an earlier call gave ") + what + " at index " + std::to_string(index);
}

void check_length(const char* what, std::uint64_t given, std::uint64_t wanted) {
  if (given == wanted) return;
  throw option_error(what, std::to_string(given) + " values given; expected " + std::to_string(wanted));
}

// Throws unless there are count rows of equal length. Returns the length.
std::uint64_t row_length(const char* what, std::uint64_t values, std::uint64_t rows) {
  if (rows == 0) {
    check_length(what, values, 0);
    return 0;
  }
  if (values % rows == 0) return values / rows;
  throw option_error(what, std::to_string(values) + " values given; expected a multiple of " + std::to_string(rows) +
                     ", the number of rows");
}

cuda::id_values values_of(const device_ids& ids) { return {ids.data(), ids.is_wide()}; }

}  // namespace

struct device_negative_sampler::state {
  negative_options options;
  detail::device_data data;
  mutable cuda::problem_board problems;
  cuda::free_source source{};
  cuda::device_buffer<double> item_logs;  // empty if uniform
  cuda::device_buffer<double> user_logs;

  state(const dataset& of, const negative_options& given, const device_options& on);
  ~state();
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  void rethrow() const;
  void check_array(const char* what, const void* array, std::uint64_t count, std::uint64_t value_bytes) const {
    if (count != 0) detail::check_address(what, array, value_bytes, data.device);
  }
  void check_ids(const char* what, const device_ids& ids) const {
    check_array(what, ids.data(), ids.size(), ids.value_bytes());
  }
  cuda::free_call checked_call(const device_draw_call& call, std::uint64_t rows, std::span<std::int32_t> out) const;
  template <typename Value>
  cuda::id_pairs checked_pairs(const device_ids& users, const device_ids& items, bool is_shared, const char* what,
                               std::span<Value> out) const;
  void find(const device_ids& users, const device_ids& items, bool is_shared, std::span<std::uint8_t> found,
            device_stream stream) const;
  void log_q(const device_ids& users, const device_ids& items, bool is_shared, std::span<float> values,
             device_stream stream) const;
};

device_negative_sampler::state::state(const dataset& of, const negative_options& given, const device_options& on)
    : options(given), data(on) {
  const dataset_weights checked(of, given.weights);
  const draw_logs logs = make_draw_logs(of, checked);  // until take() has waited for the copies
  data.weights = data.upload(checked, of.positive_count());
  item_logs = cuda::upload_async(logs.items.data(), logs.items.size(), *data.memory, on.stream);
  user_logs = cuda::upload_async(logs.users.data(), logs.users.size(), *data.memory, on.stream);
  data.take(cuda::device_dataset::upload_async(of, given.bitset_budget, detail::form_of(on), *data.memory, on.stream));
  source = {given.seed, data.dataset->view(), data.weights.draw(), problems.writer()};
  // Loads all kernels, so that no capture loads one.
  const launcher load{nullptr, cuda::default_block_size, true};
  cuda::draw_free_async(source, {}, {}, 0, nullptr, load);
  cuda::draw_shared_async(source, {}, nullptr, load);
  cuda::find_positives_async(source, {{}, {}, false, 0, 1}, nullptr, load);
  cuda::log_q_async(source, {}, {{}, {}, false, 0, 1}, nullptr, load);
}

device_negative_sampler::state::~state() {
  const cuda::quiet_device_guard current(data.device);
  cuda::ignore(cudaDeviceSynchronize());  // kernels may still report problems to the host
  item_logs = {};
  user_logs = {};
}

// Throws what kernels of earlier calls have found.
void device_negative_sampler::state::rethrow() const {
  const auto [found, index] = problems.take();
  switch (found) {
    case cuda::problem::none:
      return;
    case cuda::problem::unknown_user:
      throw out_of_range_error(numbered("a user", index) + " that does not exist: there are " +
                               std::to_string(data.counts.users) +
                               ", numbered from 0; negative numbers are padding");
    case cuda::problem::unknown_item:
      throw out_of_range_error(numbered("an item", index) + " that does not exist: there are " +
                               std::to_string(data.counts.items) +
                               ", numbered from 0; negative numbers are padding");
    case cuda::problem::no_items_left:
      throw infeasible_error(numbered("a user", index) + " who has too few items left that are neither excluded nor, "
                             "if distinct, drawn before. Draw fewer, or exclude fewer items");
  }
}

cuda::free_call device_negative_sampler::state::checked_call(const device_draw_call& call, std::uint64_t rows,
                                                             std::span<std::int32_t> out) const {
  const std::uint64_t limit = std::numeric_limits<std::uint64_t>::max() / std::max(1U, call.negatives);
  if (rows > limit || call.offset > limit - rows) {
    throw option_error("offset", std::to_string(call.offset) + " given; element numbers exceed 64 bits");
  }
  check_length("out", out.size(), rows * call.negatives);
  check_array("out", out.data(), out.size(), 4);
  const std::uint64_t excluded = row_length("excluded", call.excluded.size(), rows);
  if (excluded > std::numeric_limits<std::uint32_t>::max()) {
    throw option_error("excluded", std::to_string(excluded) + " items a row given; expected fewer than 2^32");
  }
  check_array("excluded", call.excluded.data(), call.excluded.size(), 4);
  check_array("device_at", call.device_at, call.device_at != nullptr, 8);
  check_array("device_offset", call.device_offset, call.device_offset != nullptr, 8);
  return {call.negatives, call.at, call.offset, call.device_at, call.device_offset, call.distinct,
          call.excluded.data(), static_cast<std::uint32_t>(excluded)};
}

device_negative_sampler::device_negative_sampler(const dataset& data, const negative_options& options,
                                                 const device_options& on) {
  const cuda::device_guard current(cuda::checked_device(on.device));
  shared_ = std::make_shared<const state>(data, options, on);
}

void device_negative_sampler::sample(const device_ids& users, const device_draw_call& call,
                                     std::span<std::int32_t> out, device_stream stream) const {
  const state& s = *shared_;
  s.rethrow();
  s.check_ids("users", users);
  const cuda::free_call checked = s.checked_call(call, users.size(), out);
  if (out.empty()) return;
  const cuda::device_guard current(s.data.device);
  cuda::draw_free_async(s.source, checked, values_of(users), users.size(), out.data(), launcher{stream});
}

void device_negative_sampler::sample_shared(const device_draw_call& call, std::span<std::int32_t> out,
                                            device_stream stream) const {
  const state& s = *shared_;
  s.rethrow();
  const cuda::free_call checked = s.checked_call(call, 1, out);
  if (out.empty()) return;
  const cuda::device_guard current(s.data.device);
  cuda::draw_shared_async(s.source, checked, out.data(), launcher{stream});
}

// Items are [user count, M], or [M] if the users share them; out is [user count, M].
template <typename Value>
cuda::id_pairs device_negative_sampler::state::checked_pairs(const device_ids& users, const device_ids& items,
                                                             bool is_shared, const char* what,
                                                             std::span<Value> out) const {
  rethrow();
  const std::uint64_t columns = is_shared ? items.size() : row_length("items", items.size(), users.size());
  check_length(what, out.size(), users.size() * columns);
  check_ids("users", users);
  check_ids("items", items);
  check_array(what, out.data(), out.size(), sizeof(Value));
  return {values_of(users), values_of(items), is_shared, users.size(), columns};
}

void device_negative_sampler::state::find(const device_ids& users, const device_ids& items, bool is_shared,
                                          std::span<std::uint8_t> found, device_stream stream) const {
  const cuda::id_pairs pairs = checked_pairs(users, items, is_shared, "found", found);
  if (found.empty()) return;
  const cuda::device_guard current(data.device);
  cuda::find_positives_async(source, pairs, found.data(), launcher{stream});
}

void device_negative_sampler::state::log_q(const device_ids& users, const device_ids& items, bool is_shared,
                                           std::span<float> values, device_stream stream) const {
  const cuda::id_pairs pairs = checked_pairs(users, items, is_shared, "values", values);
  if (values.empty()) return;
  const cuda::device_guard current(data.device);
  cuda::log_q_async(source, {item_logs.data(), user_logs.data()}, pairs, values.data(), launcher{stream});
}

void device_negative_sampler::contains(const device_ids& users, const device_ids& items,
                                       std::span<std::uint8_t> found, device_stream stream) const {
  shared_->find(users, items, false, found, stream);
}

void device_negative_sampler::contains_each(const device_ids& users, const device_ids& items,
                                            std::span<std::uint8_t> found, device_stream stream) const {
  shared_->find(users, items, true, found, stream);
}

void device_negative_sampler::log_q(const device_ids& users, const device_ids& items, std::span<float> values,
                                    device_stream stream) const {
  shared_->log_q(users, items, false, values, stream);
}

void device_negative_sampler::log_q_each(const device_ids& users, const device_ids& items, std::span<float> values,
                                         device_stream stream) const {
  shared_->log_q(users, items, true, values, stream);
}

void device_negative_sampler::check(device_stream stream) const {
  const cuda::device_guard current(shared_->data.device);
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  shared_->rethrow();
}

std::string device_negative_sampler::description() const { return shared_->data.description(); }

}  // namespace negpipe
