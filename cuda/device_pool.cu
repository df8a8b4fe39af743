#include "negpipe/device_pool.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "device_data.hpp"
#include "memory.hpp"
#include "stream.hpp"

namespace negpipe {

namespace detail {

/// Created with its device current.
struct device_pool_data {
  explicit device_pool_data(int on) : device(on), memory(cuda::make_pool_memory()) {}
  ~device_pool_data() {
    const cuda::quiet_device_guard current(device);
    cuda::ignore(cudaStreamSynchronize(releases.get()));  // no memory is being freed when the pool is destroyed
  }
  device_pool_data(const device_pool_data&) = delete;
  device_pool_data& operator=(const device_pool_data&) = delete;

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
};

bool device_block_data::wait_in_stream_order() noexcept {
  const cudaStream_t releases = pool->releases.get();
  const auto follow = [&](cudaStream_t stream) {
    cudaError_t status = cudaEventRecord(written.get(), stream);
    if (status == cudaSuccess) status = cudaStreamWaitEvent(releases, written.get(), 0);
    cuda::ignore(status);
    return status == cudaSuccess;
  };
  // The stream of a thread is that of the reader only in its own thread.
  if (std::ranges::find(readers, cudaStreamPerThread) != readers.end()) return false;
  // A wait uses the event's last record at the time of the call, so one event serves all streams.
  return follow(pool->writes.get()) && std::all_of(readers.begin(), readers.end(), follow);
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
  const std::lock_guard lock(data_->mutex);
  const cuda::device_guard current(data_->pool->device);
  // Also if the other columns of the batch were lent to it: a handle may be another stream in another thread, or later.
  NEGPIPE_CUDA_CHECK(cudaStreamWaitEvent(reader, data_->written.get(), 0));
  if (std::ranges::find(data_->readers, reader) == data_->readers.end()) data_->readers.push_back(reader);
}

void device_block::download(std::size_t offset, std::span<std::byte> out) const {
  const cuda::device_guard current(data_->pool->device);
  data_->written.synchronize();
  if (!out.empty()) NEGPIPE_CUDA_CHECK(cudaMemcpy(out.data(), data() + offset, out.size(), cudaMemcpyDeviceToHost));
}

}  // namespace negpipe
