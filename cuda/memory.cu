#include "memory.hpp"

#include <string>

#include "negpipe/error.hpp"

namespace negpipe::cuda {

namespace {

class pool_memory final : public device_memory {
 public:
  explicit pool_memory(int device) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location = {cudaMemLocationTypeDevice, device};
    NEGPIPE_CUDA_CHECK(cudaMemPoolCreate(&pool_, &properties));
    std::uint64_t keep_all = UINT64_MAX;
    const cudaError_t status = cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_all);
    if (status != cudaSuccess) {
      ignore(cudaMemPoolDestroy(pool_));
      throw_cuda_error(status, "cudaMemPoolSetAttribute");
    }
  }
  ~pool_memory() override { ignore(cudaMemPoolDestroy(pool_)); }
  pool_memory(const pool_memory&) = delete;
  pool_memory& operator=(const pool_memory&) = delete;

  void* allocate(std::size_t bytes, cudaStream_t stream) override {
    void* pointer = nullptr;
    NEGPIPE_CUDA_CHECK(cudaMallocFromPoolAsync(&pointer, bytes, pool_, stream));
    return pointer;
  }

  void deallocate(void* pointer, std::size_t, cudaStream_t stream) noexcept override {
    ignore(cudaFreeAsync(pointer, stream));
  }

  void release_unused() override { NEGPIPE_CUDA_CHECK(cudaMemPoolTrimTo(pool_, 0)); }

 private:
  cudaMemPool_t pool_ = nullptr;
};

class plain_memory final : public device_memory {
 public:
  void* allocate(std::size_t bytes, cudaStream_t) override {
    void* pointer = nullptr;
    NEGPIPE_CUDA_CHECK(cudaMalloc(&pointer, bytes));
    return pointer;
  }

  void deallocate(void* pointer, std::size_t, cudaStream_t) noexcept override {
    ignore(cudaFree(pointer));
  }
};

class lent_memory final : public device_memory {
 public:
  explicit lent_memory(const device_allocator& allocator) : allocator_(allocator) {}

  void* allocate(std::size_t bytes, cudaStream_t stream) override {
    void* pointer = allocator_.allocate(allocator_.context, bytes, stream);
    if (pointer != nullptr) return pointer;
    throw device_memory_error("the caller's allocator could not provide " + std::to_string(bytes) +
                              " bytes: free memory on the device");
  }

  void deallocate(void* pointer, std::size_t bytes, cudaStream_t stream) noexcept override {
    allocator_.deallocate(allocator_.context, pointer, bytes, stream);
  }

 private:
  device_allocator allocator_;
};

}  // namespace

std::unique_ptr<device_memory> make_pool_memory() {
  int device = 0;
  int has_pools = 0;
  NEGPIPE_CUDA_CHECK(cudaGetDevice(&device));
  NEGPIPE_CUDA_CHECK(cudaDeviceGetAttribute(&has_pools, cudaDevAttrMemoryPoolsSupported, device));
  if (has_pools == 0) return make_plain_memory();
  return std::make_unique<pool_memory>(device);
}

std::unique_ptr<device_memory> make_plain_memory() { return std::make_unique<plain_memory>(); }

std::unique_ptr<device_memory> make_lent_memory(const device_allocator& allocator) {
  if (allocator.allocate == nullptr || allocator.deallocate == nullptr) {
    throw option_error("allocator", "one of allocate and deallocate is null; set both or neither");
  }
  return std::make_unique<lent_memory>(allocator);
}

}  // namespace negpipe::cuda
