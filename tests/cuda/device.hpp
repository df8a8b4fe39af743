// Shared by tests on a device: skipping without one, and columns in device memory.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "memory.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/core/positives.hpp"
#include "stream.hpp"

namespace negpipe::test {

inline auto every_membership() {
  return testing::Values(core::membership::bitset, core::membership::bloom_filter, core::membership::sorted_search);
}
inline std::string membership_name(const testing::TestParamInfo<core::membership>& form) {
  if (form.param == core::membership::bitset) return "bitset";
  return form.param == core::membership::bloom_filter ? "bloom_filter" : "sorted_rows";
}

/// A test that needs a device. Skipped with the reason if there is none.
class device_test : public testing::Test {
 protected:
  void SetUp() override {
    const backend_status status = cuda_status();
    if (!status.available) GTEST_SKIP() << status.reason;
    memory = cuda::make_pool_memory();
    stream = std::make_unique<cuda::stream>();
  }
  void TearDown() override {
    stream.reset();
    memory.reset();
  }

  template <typename T>
  cuda::device_buffer<T> upload(const std::vector<T>& values) {
    cuda::device_buffer<T> buffer = cuda::upload_async(values.data(), values.size(), *memory, stream->get());
    stream->synchronize();
    return buffer;
  }

  /// Waits for the stream, then copies.
  template <typename T>
  std::vector<T> download(const T* values, std::size_t count) {
    std::vector<T> copy(count);
    stream->synchronize();
    if (count != 0) {
      NEGPIPE_CUDA_CHECK(cudaMemcpy(copy.data(), values, count * sizeof(T), cudaMemcpyDeviceToHost));
    }
    return copy;
  }

  std::unique_ptr<cuda::device_memory> memory;
  std::unique_ptr<cuda::stream> stream;
};

}  // namespace negpipe::test
