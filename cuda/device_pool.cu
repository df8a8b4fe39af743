#include "negpipe/device_pool.hpp"

#include <cuda.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "device_data.hpp"
#include "memory.hpp"
#include "stream.hpp"

namespace negpipe {

namespace {

/// Functions of the driver that the runtime of CUDA 13.0 lacks. Null where they are not found, as on ptxrun.
struct driver_functions {
  decltype(&cuCtxGetCurrent) get_context = nullptr;
  decltype(&cuCtxRecordEvent) record_context = nullptr;

  driver_functions() {
    find("cuCtxGetCurrent", 4000, get_context);
    find("cuCtxRecordEvent", 12050, record_context);
  }

 private:
  template <typename F>
  static void find(const char* name, unsigned version, F& function) {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    cuda::ignore(cudaGetDriverEntryPointByVersion(name, &found, version, cudaEnableDefault, &result));
    function = reinterpret_cast<F>(found);
  }
};

/// Records the work of all streams of the current context. Returns false if the driver cannot.
bool record_all_streams(cudaEvent_t event) noexcept {
  static const driver_functions driver;
  CUcontext context = nullptr;
  return driver.get_context != nullptr && driver.record_context != nullptr &&
         driver.get_context(&context) == CUDA_SUCCESS && driver.record_context(context, event) == CUDA_SUCCESS;
}

}  // namespace

namespace detail {

/// Created with its device current.
struct device_pool_data {
  explicit device_pool_data(int on) : device(on), memory(cuda::make_pool_memory()) {}

  int device;
  cuda::stream writes;
  /// Memory is freed here, so that only the freed memory waits for its readers, not the next write.
  cuda::stream releases;
  std::unique_ptr<cuda::device_memory> memory;
};

struct device_block_data {
  device_block_data(std::shared_ptr<device_pool_data> from, std::size_t count)
      : pool(std::move(from)), bytes(count), pointer(pool->memory->allocate(count, pool->writes.get())) {}
  ~device_block_data() {
    const cuda::quiet_device_guard current(pool->device);
    // What cannot be waited for in stream order, such as a stream that was destroyed, is waited for here.
    if (!wait_in_stream_order()) cuda::ignore(cudaDeviceSynchronize());
    pool->memory->deallocate(pointer, bytes, pool->releases.get());
  }
  device_block_data(const device_block_data&) = delete;
  device_block_data& operator=(const device_block_data&) = delete;

  /// Queues a wait for the writing and all readers to the stream of releases. Returns false if a call fails.
  bool wait_in_stream_order() noexcept;

  std::shared_ptr<device_pool_data> pool;
  std::size_t bytes;
  cuda::event written;
  void* pointer;
  std::mutex mutex;  ///< guards readers
  std::vector<cudaStream_t> readers;
  std::atomic<bool> lent_to_all = false;
};

bool device_block_data::wait_in_stream_order() noexcept {
  const cudaStream_t releases = pool->releases.get();
  // A wait uses the event's last record at the time of the call, so one event serves all streams.
  const auto wait = [&] {
    const cudaError_t status = cudaStreamWaitEvent(releases, written.get(), 0);
    cuda::ignore(status);
    return status == cudaSuccess;
  };
  const auto follow = [&](cudaStream_t stream) {
    const cudaError_t status = cudaEventRecord(written.get(), stream);
    cuda::ignore(status);
    return status == cudaSuccess && wait();
  };
  if (!follow(pool->writes.get()) || !std::all_of(readers.begin(), readers.end(), follow)) return false;
  return !lent_to_all || (record_all_streams(written.get()) && wait());
}

}  // namespace detail

device_pool::device_pool(int device) {
  const cuda::device_guard current(cuda::checked_device(device));
  data_ = std::make_shared<detail::device_pool_data>(device);
}

int device_pool::device() const { return data_->device; }

device_stream device_pool::stream() const { return data_->writes.get(); }

device_block device_pool::take(std::size_t bytes) const {
  const cuda::device_guard current(data_->device);
  return device_block(std::make_shared<detail::device_block_data>(data_, bytes));
}

std::byte* device_block::data() const { return static_cast<std::byte*>(data_->pointer); }

void device_block::finish_writing() const {
  const cuda::device_guard current(data_->pool->device);
  data_->written.record(data_->pool->writes.get());
}

void device_block::lend_to(device_stream reader) const {
  if (reader == data_->pool->writes.get()) return;
  const cuda::device_guard current(data_->pool->device);
  NEGPIPE_CUDA_CHECK(cudaStreamWaitEvent(reader, data_->written.get(), 0));
  const std::lock_guard lock(data_->mutex);
  if (std::ranges::find(data_->readers, reader) == data_->readers.end()) data_->readers.push_back(reader);
}

void device_block::lend_to_all() const { data_->lent_to_all = true; }

void device_block::download(std::size_t offset, std::span<std::byte> out) const {
  const cuda::device_guard current(data_->pool->device);
  data_->written.synchronize();
  if (!out.empty()) NEGPIPE_CUDA_CHECK(cudaMemcpy(out.data(), data() + offset, out.size(), cudaMemcpyDeviceToHost));
}

}  // namespace negpipe
