// The CUDA backend: fills columns in host memory with one or several devices.
#include "cuda_backend.hpp"

#include <algorithm>
#include <charconv>
#include <future>
#include <mutex>
#include <numeric>
#include <string>
#include <system_error>
#include <vector>

#include "check.hpp"
#include "column_fills.hpp"
#include "cuda_queue.hpp"
#include "device_part.hpp"
#include "double_buffer.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/column_checks.hpp"
#include "negpipe/error.hpp"
#include "stream.hpp"

namespace negpipe {

namespace cuda {
namespace {

class cuda_backend final : public backend {
 public:
  cuda_backend(const std::vector<int>& devices, const positives_index& index, const cuda_backend_options& options,
               const std::vector<dataset_weights>& weights)
      : index_(index), counts_(dataset_counts::of(index.source())), options_(options), busy_(devices.size()) {
    for (const int device : devices) {
      parts_.push_back(std::make_unique<device_part>(device, index, weights, options));
    }
  }

  std::string description() const override {
    std::string text = "cuda (";
    for (const auto& part : parts_) text += (part == parts_.front() ? "" : "; ") + part->description();
    return text + ")";
  }

  std::shared_ptr<std::byte[]> allocate_host(std::size_t bytes) const override {
    const device_guard current(parts_.front()->device());
    void* memory = nullptr;
    const cudaError_t status = cudaHostAlloc(&memory, std::max<std::size_t>(bytes, 1), cudaHostAllocPortable);
    if (status != cudaSuccess) {  // page-locked memory may be limited
      ignore(status);
      return backend::allocate_host(bytes);
    }
    return {static_cast<std::byte*>(memory), [](std::byte* pinned) { ignore(cudaFreeHost(pinned)); }};
  }

  void fill_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                     const training_columns& out) const override {
    check_training_fill(plan, key, counts_, first, count, out, {});
    parts_.front()->check_weights(plan.weights);
    const core::training_pointers host = pointers_of(out);
    const training_fill fill{plan, key, first, host.item_width, host.valid != nullptr, options_.block_size};
    run(count, fill, {host.users, host.items, host.labels, host.valid});
  }

  void fill_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                  const pair_columns& out) const override {
    check_pair_fill(plan, key, counts_, first, count, out, {});
    parts_.front()->check_weights(plan.weights);
    const core::pair_pointers host = pointers_of(out);
    const pairs_fill fill{plan, key, first, host.item_width, host.valid != nullptr, options_.block_size};
    std::vector<void*> columns{host.users, host.items};
    if (plan.negatives != 0) columns.push_back(host.negatives);
    columns.push_back(host.valid);
    run(count, fill, columns);
  }

  void fill_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                       const evaluation_columns& out) const override {
    check_evaluation_fill(plan, counts_, first_row, row_count, out, {});
    parts_.front()->check_weights(plan.weights);
    const core::evaluation_pointers host = pointers_of(out);
    const evaluation_fill fill{plan, first_row, host.item_width, options_.block_size};
    run(row_count * plan.row_length(), fill, {host.users, host.items, host.duplicate_mask});
  }

  std::unique_ptr<fill_queue> make_queue() const override {
    const std::lock_guard lock(mutex_);
    const device_part& part = *parts_[queue_turn_];
    queue_turn_ = (queue_turn_ + 1) % parts_.size();
    return make_fill_queue(part, counts_, options_.block_size);
  }

 private:
  // Assigns a device to a call: the one with the fewest running calls, round-robin among equals.
  class lease {
   public:
    explicit lease(const cuda_backend& owner) : owner_(owner) {
      const std::lock_guard lock(owner_.mutex_);
      std::vector<unsigned>& busy = owner_.busy_;
      part_ = owner_.turn_;
      for (std::size_t step = 1; step < busy.size(); ++step) {
        const std::size_t other = (owner_.turn_ + step) % busy.size();
        if (busy[other] < busy[part_]) part_ = other;
      }
      owner_.turn_ = (part_ + 1) % busy.size();
      ++busy[part_];
    }
    ~lease() {
      const std::lock_guard lock(owner_.mutex_);
      --owner_.busy_[part_];
    }
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;

    const device_part& part() const { return *owner_.parts_[part_]; }

   private:
    const cuda_backend& owner_;
    std::size_t part_ = 0;
  };

  // Splits a call of several pieces over the devices; a shorter call runs on one device. A last
  // column of null is not filled.
  template <typename Fill>
  void run(std::uint64_t count, const Fill& fill, const std::vector<void*>& values) const {
    if (count == 0) return;
    const std::vector<host_column> columns = host_columns_of(fill, values);
    const std::uint64_t pieces = core::ceil_div(double_buffer::bytes_for(count, columns), options_.buffer_bytes);
    const std::uint64_t units = core::ceil_div(count, fill.unit());
    const std::uint64_t shares = std::min<std::uint64_t>({parts_.size(), pieces, units});
    if (shares == 1) {
      const lease lent(*this);
      return run_on(lent.part(), 0, count, columns, fill);
    }
    const std::uint64_t share = core::ceil_div(units, shares) * fill.unit();
    const auto run_share = [&](std::uint64_t s) {
      const std::uint64_t begin = s * share;
      if (begin < count) run_on(*parts_[s], begin, std::min(share, count - begin), columns, fill);
    };
    std::vector<std::future<void>> others;
    for (std::uint64_t s = 1; s < shares; ++s) {
      try {
        others.push_back(std::async(std::launch::async, run_share, s));
      } catch (const std::system_error&) {  // no thread can be started
        run_share(s);
      }
    }
    run_share(0);
    for (std::future<void>& other : others) other.get();
  }

  // Fills values [begin, begin + count) of the columns on one device.
  template <typename Fill>
  void run_on(const device_part& part, std::uint64_t begin, std::uint64_t count, std::span<const host_column> columns,
              const Fill& fill) const {
    std::vector<host_column> moved(columns.begin(), columns.end());
    for (host_column& column : moved) {
      column.values = static_cast<std::byte*>(column.values) + begin * column.width_bytes;
    }
    const device_guard current(part.device());
    std::unique_ptr<double_buffer> buffers = part.take_buffers(double_buffer::bytes_for(fill.unit(), columns));
    buffers->run(count, fill.unit(), moved,
                 [&](std::uint64_t first, std::uint64_t length, piece_columns column, cudaStream_t stream) {
                   fill(part, begin + first, length, column, stream);
                 });
    part.return_buffers(std::move(buffers));
  }

  positives_index index_;
  dataset_counts counts_;
  cuda_backend_options options_;
  std::vector<std::unique_ptr<device_part>> parts_;
  mutable std::mutex mutex_;
  mutable std::vector<unsigned> busy_;  // running calls per device
  mutable std::size_t turn_ = 0;
  mutable std::size_t queue_turn_ = 0;  // device of the next queue
};

// Returns the devices of a name. device_count > 0.
std::vector<int> devices_named(std::string_view name, int device_count) {
  if (name == "cuda") return {0};
  if (name == "cuda:all") {
    std::vector<int> all(static_cast<std::size_t>(device_count));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  int number = -1;
  const std::string_view digits = name.substr(std::min(name.size(), std::string_view("cuda:").size()));
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (status != std::errc() || end != digits.data() + digits.size() || number < 0 || number >= device_count) {
    throw option_error("the device " + std::string(name) + " does not exist: this machine has cuda:0 to cuda:" +
                       std::to_string(device_count - 1) + ", and cuda:all for all of them");
  }
  return {number};
}

// Returns the number of devices, or the status that says why there is none.
cudaError_t count_devices(int& count) {
  count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  ignore(status);  // keeps a pending error of the caller
  return status == cudaSuccess && count == 0 ? cudaErrorNoDevice : status;
}

}  // namespace

std::unique_ptr<backend> make_backend_on(const std::vector<int>& devices, const positives_index& index,
                                         const cuda_backend_options& options,
                                         const std::vector<dataset_weights>& weights) {
  return std::make_unique<cuda_backend>(devices, index, options, weights);
}

}  // namespace cuda

backend_status cuda_status() {
  int count = 0;
  const cudaError_t status = cuda::count_devices(count);
  return {"cuda", status == cudaSuccess, status == cudaSuccess ? "" : cuda::describe(status)};
}

std::unique_ptr<backend> make_cuda_backend(std::string_view device, const positives_index& index,
                                           const std::vector<dataset_weights>& weights) {
  int count = 0;
  const cudaError_t status = cuda::count_devices(count);
  if (status != cudaSuccess) {
    throw backend_error("the device " + std::string(device) + " is not available: " + cuda::describe(status));
  }
  return cuda::make_backend_on(cuda::devices_named(device, count), index, {}, weights);
}

memory_location memory_location_of(const void* pointer) {
  cudaPointerAttributes found{};
  const cudaError_t pending = cudaPeekAtLastError();
  if (pointer == nullptr || cudaPointerGetAttributes(&found, pointer) != cudaSuccess) {
    // Without a device there is only host memory. Keeps a pending error of the caller.
    if (pending == cudaSuccess) static_cast<void>(cudaGetLastError());
    return {};
  }
  switch (found.type) {
    case cudaMemoryTypeDevice: return {memory_space::device, found.device};
    case cudaMemoryTypeManaged: return {memory_space::managed, found.device};
    default: return {};
  }
}

}  // namespace negpipe
