// cuRAND's device generator, by its public API, gives the block of core's counter layout.
#include <curand_kernel.h>
#include <gtest/gtest.h>

#include "curand_source.hpp"
#include "device.hpp"
#include "negpipe/core/counter.hpp"

namespace negpipe::test {
namespace {

struct named_block {
  core::tag purpose;
  std::uint32_t cycle;
  std::uint64_t index;
  std::uint32_t attempt;
};

__global__ void make_blocks(const named_block* names, std::size_t count, std::uint64_t seed,
                            core::random_block* by_source, core::random_block* by_curand_init) {
  for (std::size_t i = threadIdx.x; i < count; i += blockDim.x) {
    const auto counter = core::make_counter(names[i].purpose, names[i].cycle, names[i].index, names[i].attempt);
    by_source[i] = cuda::curand_source{seed}(counter);
    curandStatePhilox4_32_10_t state;
    const std::uint64_t offset =
        4 * (static_cast<std::uint64_t>(counter.word[1]) << 32 | counter.word[0]);
    curand_init(seed, names[i].index, offset, &state);
    const uint4 block = curand4(&state);
    by_curand_init[i] = {{block.x, block.y, block.z, block.w}};
  }
}

class curand_device : public device_test {};

TEST_F(curand_device, generator_curand_init_and_core_agree) {
  std::vector<named_block> names;
  for (const auto purpose : {core::tag::round_keys, core::tag::train_draw, core::tag::padding, core::tag{63}}) {
    for (const std::uint32_t cycle : {0U, 1U, 0xFFFFFFFFU}) {
      for (const std::uint64_t index : {0ULL, 1ULL, 65'536ULL, 0xFFFFFFFFULL, 1ULL << 32, ~0ULL}) {
        for (const std::uint32_t attempt : {0U, 1U, core::max_attempt})
          names.push_back({purpose, cycle, index, attempt});
      }
    }
  }
  const auto device_names = upload(names);
  for (const std::uint64_t seed : {0ULL, 42ULL, 0x0123456789ABCDEFULL, ~0ULL}) {
    cuda::device_buffer<core::random_block> by_source(names.size(), *memory, stream->get());
    cuda::device_buffer<core::random_block> by_init(names.size(), *memory, stream->get());
    make_blocks<<<1, 64, 0, stream->get()>>>(device_names.data(), names.size(), seed, by_source.data(), by_init.data());
    NEGPIPE_CUDA_CHECK(cudaGetLastError());
    const auto sourced = download(by_source.data(), names.size());
    const auto initialised = download(by_init.data(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto wanted = core::philox_source{seed}(
          core::make_counter(names[i].purpose, names[i].cycle, names[i].index, names[i].attempt));
      for (int w = 0; w < 4; ++w) {
        ASSERT_EQ(sourced[i].word[w], wanted.word[w]) << "block " << i;
        ASSERT_EQ(initialised[i].word[w], wanted.word[w]) << "block " << i;
      }
    }
  }
}

}  // namespace
}  // namespace negpipe::test
