// The CUDA backend: fills columns in host memory with one or several devices.
#include "cuda_backend.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <future>
#include <mutex>
#include <numeric>
#include <string>
#include <system_error>
#include <vector>

#include "check.hpp"
#include "device_dataset.hpp"
#include "fill_eval.hpp"
#include "fill_pairs.hpp"
#include "fill_points.hpp"
#include "double_buffer.hpp"
#include "memory.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/column_checks.hpp"
#include "negpipe/error.hpp"
#include "stream.hpp"

namespace negpipe {

namespace cuda {
namespace {

std::atomic<bool> short_fetches = false;  // see prefer_short_device_fetches
constexpr std::size_t short_fetch_bytes = 32;

// One device: its copy of the dataset and the double buffers of calling threads.
class device_part {
 public:
  device_part(int device, const positives_index& index, const cuda_backend_options& options)
      : device_(device), buffer_bytes_(options.buffer_bytes) {
    const device_guard current(device);
    if (short_fetches) ignore(cudaDeviceSetLimit(cudaLimitMaxL2FetchGranularity, short_fetch_bytes));
    memory_ = make_pool_memory();
    setup_ = std::make_unique<stream>();
    const std::uint64_t budget_bytes = index.form() == core::membership::bitset ? ~std::uint64_t{0} : 0;
    data_ = std::make_unique<device_dataset>(
        device_dataset::upload_async(index.source(), budget_bytes, options.form, *memory_, setup_->get()));
    setup_->synchronize();
    memory_->release_unused();
  }
  ~device_part() {
    const quiet_device_guard current(device_);
    buffers_.clear();
    data_.reset();
    setup_.reset();
    memory_.reset();
  }
  device_part(const device_part&) = delete;
  device_part& operator=(const device_part&) = delete;

  int device() const { return device_; }
  device_view view() const { return data_->view(); }
  device_memory& memory() const { return *memory_; }

  std::string description() const {
    cudaDeviceProp properties{};
    NEGPIPE_CUDA_CHECK(cudaGetDeviceProperties(&properties, device_));
    return std::to_string(device_) + ": " + properties.name + ", " + name_of(data_->view().form) + " of " +
           std::to_string(data_->membership_bytes() >> 20) + " MiB";
  }

  // Returns a double buffer of at least the given size for one thread: an idle one or a new one.
  std::unique_ptr<double_buffer> take_buffers(std::size_t bytes) const {
    std::unique_ptr<double_buffer> buffers;
    {
      const std::lock_guard lock(mutex_);
      if (!buffers_.empty()) {
        buffers = std::move(buffers_.back());
        buffers_.pop_back();
      }
    }
    if (buffers == nullptr || buffers->buffer_bytes() < bytes) {
      buffers = std::make_unique<double_buffer>(std::max(bytes, buffer_bytes_), *memory_);
    }
    return buffers;
  }

  void return_buffers(std::unique_ptr<double_buffer> buffers) const {
    const std::lock_guard lock(mutex_);
    buffers_.push_back(std::move(buffers));
  }

 private:
  int device_;
  std::size_t buffer_bytes_;
  std::unique_ptr<device_memory> memory_;
  std::unique_ptr<stream> setup_;
  std::unique_ptr<device_dataset> data_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<double_buffer>> buffers_;
};

void require_uniform(const training_plan& plan) {
  if (!plan.weights.is_set()) return;
  throw option_error("weights", "the CUDA backend draws uniformly; use the CPU backend for weighted negatives");
}

class cuda_backend final : public backend {
 public:
  cuda_backend(const std::vector<int>& devices, const positives_index& index, const cuda_backend_options& options)
      : index_(index), options_(options), busy_(devices.size()) {
    for (const int device : devices) parts_.push_back(std::make_unique<device_part>(device, index, options));
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
    check_training_fill(plan, key, dataset_counts::of(index_.source()), first, count, out, {});
    require_uniform(plan);
    const core::training_pointers host = pointers_of(out);
    std::vector<host_column> columns{{host.users, 4}, {host.items, item_bytes(host.item_width)}, {host.labels, 1}};
    if (host.valid != nullptr) columns.push_back({host.valid, 1});
    run(count, 4, columns,
        [&](const device_part& part, std::uint64_t begin, std::uint64_t length, std::span<std::byte* const> column,
            cudaStream_t stream) {
          const core::training_pointers device{
              reinterpret_cast<std::int32_t*>(column[0]), column[1], host.item_width,
              reinterpret_cast<std::int8_t*>(column[2]),
              host.valid == nullptr ? nullptr : reinterpret_cast<std::int8_t*>(column[3])};
          fill_training_async(plan, key, part.view(), first + begin, length, device, {stream, options_.block_size});
        });
  }

  void fill_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                  const pair_columns& out) const override {
    check_pair_fill(plan, key, dataset_counts::of(index_.source()), first, count, out, {});
    require_uniform(plan);
    const core::pair_pointers host = pointers_of(out);
    const std::uint64_t width = item_bytes(host.item_width);
    // A value of a column is what it holds for one row.
    std::vector<host_column> columns{{host.users, 4}, {host.items, width}};
    if (plan.negatives != 0) columns.push_back({host.negatives, plan.negatives * width});
    if (host.valid != nullptr) columns.push_back({host.valid, 1});
    run(count, 1, columns,
        [&](const device_part& part, std::uint64_t begin, std::uint64_t length, std::span<std::byte* const> column,
            cudaStream_t stream) {
          const core::pair_pointers device{
              reinterpret_cast<std::int32_t*>(column[0]), column[1], plan.negatives == 0 ? nullptr : column[2],
              host.item_width,
              host.valid == nullptr ? nullptr : reinterpret_cast<std::int8_t*>(column[columns.size() - 1])};
          fill_pairs_async(plan, key, part.view(), first + begin, length, device, {stream, options_.block_size});
        });
  }

  void fill_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                       const evaluation_columns& out) const override {
    const std::uint64_t length = plan.row_length();
    check_evaluation_fill(plan, dataset_counts::of(index_.source()), first_row, row_count, out, {});
    const core::evaluation_pointers host = pointers_of(out);
    const std::array<host_column, 3> columns{
        {{host.users, 4}, {host.items, item_bytes(host.item_width)}, {host.duplicate_mask, 1}}};
    run(row_count * length, length, columns,
        [&](const device_part& part, std::uint64_t begin, std::uint64_t count, std::span<std::byte* const> column,
            cudaStream_t stream) {
          const core::evaluation_pointers device{reinterpret_cast<std::int32_t*>(column[0]), column[1],
                                                 host.item_width, reinterpret_cast<std::int8_t*>(column[2])};
          const std::uint64_t piece_rows = count / length;
          device_buffer<std::byte> workspace(evaluation_workspace_bytes(plan, part.view(), piece_rows),
                                             part.memory(), stream);
          fill_evaluation_async(plan, part.view(), first_row + begin / length, piece_rows, device, workspace.data(),
                                {stream, options_.block_size});
        });
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

  // Splits a call of several pieces over the devices; a shorter call runs on one device.
  template <typename Fill>
  void run(std::uint64_t count, std::uint64_t unit, std::span<const host_column> columns, const Fill& fill) const {
    if (count == 0) return;
    std::uint64_t value_bytes = 0;
    for (const host_column& column : columns) value_bytes += column.width_bytes;
    const std::uint64_t pieces = core::ceil_div(count * value_bytes, options_.buffer_bytes);
    const std::uint64_t shares = std::min<std::uint64_t>({parts_.size(), pieces, core::ceil_div(count, unit)});
    if (shares == 1) {
      const lease lent(*this);
      return run_on(lent.part(), 0, count, unit, columns, fill);
    }
    const std::uint64_t share = core::ceil_div(core::ceil_div(count, unit), shares) * unit;
    const auto run_share = [&](std::uint64_t s) {
      const std::uint64_t begin = s * share;
      if (begin < count) run_on(*parts_[s], begin, std::min(share, count - begin), unit, columns, fill);
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
  void run_on(const device_part& part, std::uint64_t begin, std::uint64_t count, std::uint64_t unit,
              std::span<const host_column> columns, const Fill& fill) const {
    std::vector<host_column> moved(columns.begin(), columns.end());
    for (host_column& column : moved) {
      column.values = static_cast<std::byte*>(column.values) + begin * column.width_bytes;
    }
    const device_guard current(part.device());
    std::unique_ptr<double_buffer> buffers = part.take_buffers(double_buffer::bytes_for(unit, columns));
    buffers->run(count, unit, moved,
                 [&](std::uint64_t first, std::uint64_t length, std::span<std::byte* const> column,
                     cudaStream_t stream) { fill(part, begin + first, length, column, stream); });
    part.return_buffers(std::move(buffers));
  }

  positives_index index_;
  cuda_backend_options options_;
  std::vector<std::unique_ptr<device_part>> parts_;
  mutable std::mutex mutex_;
  mutable std::vector<unsigned> busy_;  // running calls per device
  mutable std::size_t turn_ = 0;
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
                                         const cuda_backend_options& options) {
  return std::make_unique<cuda_backend>(devices, index, options);
}

}  // namespace cuda

backend_status cuda_status() {
  int count = 0;
  const cudaError_t status = cuda::count_devices(count);
  return {"cuda", status == cudaSuccess, status == cudaSuccess ? "" : cuda::describe(status)};
}

std::unique_ptr<backend> make_cuda_backend(std::string_view device, const positives_index& index) {
  int count = 0;
  const cudaError_t status = cuda::count_devices(count);
  if (status != cudaSuccess) {
    throw backend_error("the device " + std::string(device) + " is not available: " + cuda::describe(status));
  }
  return cuda::make_backend_on(cuda::devices_named(device, count), index);
}

void prefer_short_device_fetches() { cuda::short_fetches = true; }

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
