// CUDA failures become typed errors that say what to do.
#include <algorithm>
#include <string>

#include "check.hpp"
#include "device.hpp"
#include "negpipe/error.hpp"

namespace negpipe::test {
namespace {

TEST(cuda_errors, success_is_no_error) { EXPECT_NO_THROW(NEGPIPE_CUDA_CHECK(cudaSuccess)); }

TEST(cuda_errors, failures_have_the_documented_types) {
  EXPECT_THROW(NEGPIPE_CUDA_CHECK(cudaErrorMemoryAllocation), device_memory_error);
  for (const cudaError_t lost : {cudaErrorIllegalAddress, cudaErrorLaunchFailure, cudaErrorLaunchTimeout,
                                 cudaErrorECCUncorrectable, cudaErrorAssert, static_cast<cudaError_t>(226)}) {
    EXPECT_THROW(NEGPIPE_CUDA_CHECK(lost), device_lost_error);
  }
  EXPECT_THROW(NEGPIPE_CUDA_CHECK(cudaErrorInvalidValue), backend_error);
}

TEST(cuda_errors, a_device_in_use_by_another_process_is_not_lost) {
  EXPECT_FALSE(cuda::is_sticky(cudaErrorDevicesUnavailable));
  try {
    NEGPIPE_CUDA_CHECK(cudaErrorDevicesUnavailable);
    FAIL();
  } catch (const device_lost_error&) {
    FAIL();
  } catch (const backend_error&) {
  }
}

TEST(cuda_errors, messages_name_the_call_and_say_what_to_do) {
  try {
    NEGPIPE_CUDA_CHECK(cudaErrorMemoryAllocation);
    FAIL();
  } catch (const device_memory_error& error) {
    EXPECT_NE(std::string(error.what()).find("cudaErrorMemoryAllocation"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("`bitset_budget`"), std::string::npos) << error.what();
  }
  for (const auto& [status, advice] :
       {std::pair{cudaErrorNoDevice, "nvidia-smi"},
        {cudaErrorInsufficientDriver, "update the driver"},
        {cudaErrorNoKernelImageForDevice, "CMAKE_CUDA_ARCHITECTURES"},
        {cudaErrorInvalidDeviceFunction, "CMAKE_CUDA_ARCHITECTURES"},
        {cudaErrorDevicesUnavailable, "exclusive mode"},
        {cudaErrorIllegalAddress, "restart the process"}}) {
    EXPECT_NE(cuda::describe(status).find(advice), std::string::npos) << cuda::describe(status);
  }
}

class cuda_memory : public device_test {};

TEST_F(cuda_memory, a_failed_allocation_throws_and_later_ones_succeed) {
  std::size_t free = 0;
  std::size_t total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  const auto plain = cuda::make_plain_memory();  // the fallback of devices without pools
  for (cuda::device_memory* source : {memory.get(), plain.get()}) {
    EXPECT_THROW(cuda::device_buffer<std::byte>(2 * total, *source, stream->get()), device_memory_error);
    const std::vector<std::int32_t> values{1, 2, 3};
    const auto copy = cuda::upload_async(values.data(), values.size(), *source, stream->get());
    EXPECT_EQ(download(copy.data(), copy.size()), values);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }
}

TEST_F(cuda_memory, a_failure_in_a_destructor_does_not_surface_at_the_next_launch) {
  EXPECT_NE(cudaSetDevice(1 << 20), cudaSuccess);
  cuda::ignore(cudaPeekAtLastError());
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
}

// The caller's allocator serves all allocations and gets all memory back.
class counting_memory final : public cuda::device_memory {
 public:
  void* allocate(std::size_t bytes, cudaStream_t) override {
    void* pointer = nullptr;
    NEGPIPE_CUDA_CHECK(cudaMalloc(&pointer, bytes));
    lent_bytes += bytes;
    return pointer;
  }
  void deallocate(void* pointer, std::size_t bytes, cudaStream_t) noexcept override {
    lent_bytes -= bytes;
    static_cast<void>(cudaFree(pointer));
  }
  std::size_t lent_bytes = 0;
};

TEST_F(cuda_memory, the_callers_allocator_gets_everything_back) {
  counting_memory lent;
  {
    cuda::device_buffer<std::int32_t> a(100, lent, stream->get());
    cuda::device_buffer<std::int32_t> b(std::move(a));
    EXPECT_EQ(lent.lent_bytes, 400U);
    a = cuda::device_buffer<std::int32_t>(10, lent, stream->get());
    b = std::move(a);
    EXPECT_EQ(b.size(), 10U);
  }
  EXPECT_EQ(lent.lent_bytes, 0U);
}

}  // namespace
}  // namespace negpipe::test
