#include "host_costs.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "captured_graph.hpp"
#include "rows_from_interactions.hpp"
#include "stream.hpp"

namespace negpipe::bench {

namespace {

using json = nlohmann::ordered_json;

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

// Returns the median time of the host for one call. The stream is empty before each, so that its queue is never full.
double host_seconds(const protocol& how, cudaStream_t stream, const std::function<void(int)>& queue) {
  std::vector<double> seconds;
  for (int run = -how.warm_up; run < how.runs; ++run) {
    const double one = seconds_of([&] { queue(run + how.warm_up); });
    NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
    if (run >= 0) seconds.push_back(one);
  }
  return median(std::move(seconds));
}

// Like host_seconds, until the device is done.
double whole_seconds(const protocol& how, cudaStream_t stream, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int run = 0; run < std::min(how.runs, 5); ++run) {
    seconds.push_back(seconds_of([&] {
      work();
      NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
    }));
  }
  return median(std::move(seconds));
}

}  // namespace

json time_launches(const protocol& how, const dataset& source, std::uint64_t batch_size, cuda::device_memory& memory,
                   cudaStream_t stream) {
  const device_sampler sampler(source, {.seed = 1, .batch_size = batch_size, .padding = padding_policy::drop},
                               {.stream = stream});
  const item_type width = item_type_for(source.item_count());
  cuda::device_buffer<std::int32_t> users(batch_size, memory, stream);
  cuda::device_buffer<std::byte> items(batch_size * item_bytes(width), memory, stream);
  cuda::device_buffer<std::int8_t> labels(batch_size, memory, stream);
  const training_columns out{{users.data(), batch_size},
                             {items.data(), width, batch_size},
                             {labels.data(), batch_size},
                             {}};
  const device_replay replay = sampler.make_replay();
  const double fill = host_seconds(how, stream, [&](int run) {
    sampler.fill(0, static_cast<std::uint64_t>(run) % sampler.batch_count(), out, stream);
  });
  const double next = host_seconds(how, stream, [&](int) { replay.fill_next(out, stream); });
  const cuda::captured_graph graph(stream, [&] { replay.fill_next(out, stream); });
  const double launch = host_seconds(how, stream, [&](int) { graph.launch(stream); });
  const timing device = time_on_device(how, memory, stream, [&](int) { graph.launch(stream); });
  return {{"batch", batch_size},
          {"host_seconds_fill", fill},
          {"host_seconds_fill_next", next},
          {"host_seconds_graph_launch", launch},
          {"device_seconds_graph", device.median_seconds},
          {"graph_points_per_second", static_cast<double>(batch_size) / device.median_seconds}};
}

json time_upload(const protocol& how, const dataset& source, std::uint64_t budget_bytes, cuda::membership_form form,
                 cuda::device_memory& memory, cudaStream_t stream) {
  const double seconds = whole_seconds(how, stream, [&] {
    const auto data = cuda::device_dataset::upload_async(source, budget_bytes, form, memory, stream);
    NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));  // before the data is freed
  });
  return {{"form", cuda::name_of(form)},
          {"seconds", seconds},
          {"positives_per_second", static_cast<double>(source.positive_count()) / seconds}};
}

reversed_interactions::reversed_interactions(const dataset& source, cuda::device_memory& memory, cudaStream_t stream)
    : user_count_(source.user_count()), item_count_(source.item_count()) {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items(source.positive_items().begin(), source.positive_items().end());
  const std::vector<std::int32_t> heldout(source.heldout_items().begin(), source.heldout_items().end());
  for (std::int32_t user = 0; user < source.user_count(); ++user) {
    const auto begin = static_cast<std::size_t>(source.user_offsets()[static_cast<std::size_t>(user)]);
    const auto end = static_cast<std::size_t>(source.user_offsets()[static_cast<std::size_t>(user) + 1]);
    users.insert(users.end(), end - begin, user);
  }
  std::ranges::reverse(users);
  std::ranges::reverse(items);
  users_ = cuda::upload_async(users.data(), users.size(), memory, stream);
  items_ = cuda::upload_async(items.data(), items.size(), memory, stream);
  heldout_ = cuda::upload_async(heldout.data(), heldout.size(), memory, stream);
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
}

json time_sort(const protocol& how, const dataset& source, cuda::device_memory& memory, cudaStream_t stream) {
  const reversed_interactions rows(source, memory, stream);
  const double seconds = whole_seconds(how, stream, [&] { cuda::rows_from_interactions(rows.view(), memory, stream); });
  return {{"seconds", seconds}, {"rows_per_second", static_cast<double>(source.positive_count()) / seconds}};
}

}  // namespace negpipe::bench
