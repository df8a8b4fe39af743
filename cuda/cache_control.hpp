// Cache hints of the kernels. Each is a constant of its own, so that builds without it can be compared on a card:
// scripts/gpu-check does. No hint changes a byte.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace negpipe::cuda {

#ifndef NEGPIPE_CUDA_STREAM_STORES
#define NEGPIPE_CUDA_STREAM_STORES 1
#endif
#ifndef NEGPIPE_CUDA_KEEP_MEMBERSHIP
#define NEGPIPE_CUDA_KEEP_MEMBERSHIP 1
#endif

/// Columns are not read again by the kernel: their lines are the first to leave the cache (st.global.cs).
inline constexpr bool stream_stores = NEGPIPE_CUDA_STREAM_STORES;
/// Words of bitsets and Bloom filters are the last to leave the L2 cache, so that positives, which are read once a
/// cycle, do not replace them. From compute capability 8.0 on.
inline constexpr bool keep_membership = NEGPIPE_CUDA_KEEP_MEMBERSHIP;

#if defined(__CUDACC__)

/// Stores a vector type or word in global memory.
template <typename Value>
__device__ void store_streaming(Value* to, Value value) {
  if constexpr (stream_stores) {
    __stcs(to, value);
  } else {
    *to = value;
  }
}

/// Returns words[index] if the label is 0; else 0 without a read. Uses a predicate: nvcc would emit a branch that most
/// lanes of a warp take.
__device__ inline std::uint32_t load_if_negative(std::uint32_t label, const std::uint32_t* words, std::uint32_t index) {
  std::uint32_t word = 0;
#if NEGPIPE_CUDA_KEEP_MEMBERSHIP && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint64_t policy;
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  asm("{ .reg .pred p; .reg .u64 address; setp.eq.u32 p, %3, 0; mad.wide.u32 address, %1, 4, %2; mov.u32 %0, 0; "
      "@p ld.global.nc.L2::cache_hint.u32 %0, [address], %4; }"
      : "=&r"(word)
      : "r"(index), "l"(__cvta_generic_to_global(words)), "r"(label), "l"(policy));
#else
  asm("{ .reg .pred p; .reg .u64 address; setp.eq.u32 p, %3, 0; mad.wide.u32 address, %1, 4, %2; mov.u32 %0, 0; "
      "@p ld.global.nc.u32 %0, [address]; }"
      : "=&r"(word)
      : "r"(index), "l"(__cvta_generic_to_global(words)), "r"(label));
#endif
  return word;
}

#endif

}  // namespace negpipe::cuda
