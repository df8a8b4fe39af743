// cuRAND's Philox4x32-10 as the source of random blocks for the core's draws.
#pragma once

#include <cuda_runtime.h>
// Only the generator: <curand_kernel.h> would add tables of other generators to every object file.
#include <curand_philox4x32_x.h>

#include "negpipe/core/philox.hpp"

namespace negpipe::cuda {

/// Same results as core::philox_source. On the device, cuRAND's own generator makes the block. curand_init(seed,
/// subsequence = index, offset = 4 * (word1 << 32 | word0)) sets exactly these counter words, but computes an unused
/// block and keeps a state; calling the generator directly costs one block. Tests compare the two.
struct curand_source {
  std::uint64_t seed;

  NEGPIPE_HD core::random_block operator()(core::counter c) const {
#if defined(__CUDA_ARCH__)
    const uint4 block =
        curand_Philox4x32_10(make_uint4(c.word[0], c.word[1], c.word[2], c.word[3]),
                             make_uint2(static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)));
    return {{block.x, block.y, block.z, block.w}};
#else
    return core::philox4x32_10(c, seed);
#endif
  }
};

/// Same results, with the keys of the ten rounds prepared on the host: cuRAND's own round, ten times.
struct scheduled_source {
  alignas(16) std::uint32_t key[2 * core::philox_rounds];

  explicit scheduled_source(std::uint64_t seed) {
    for (int round = 0; round < core::philox_rounds; ++round) {
      key[2 * round] = static_cast<std::uint32_t>(seed) + round * PHILOX_W32_0;
      key[2 * round + 1] = static_cast<std::uint32_t>(seed >> 32) + round * PHILOX_W32_1;
    }
  }

  NEGPIPE_HD core::random_block operator()(core::counter c) const {
#if defined(__CUDA_ARCH__)
    uint4 block = make_uint4(c.word[0], c.word[1], c.word[2], c.word[3]);
    NEGPIPE_UNROLL
    for (int round = 0; round < core::philox_rounds; ++round) {
      block = _philox4x32round(block, make_uint2(key[2 * round], key[2 * round + 1]));
    }
    return {{block.x, block.y, block.z, block.w}};
#else
    return core::philox4x32_10(c, std::uint64_t{key[1]} << 32 | key[0]);
#endif
  }
};

}  // namespace negpipe::cuda
