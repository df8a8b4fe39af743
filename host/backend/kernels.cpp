#include "kernels.hpp"

#include <vector>

namespace negpipe {

namespace {

std::vector<kernel_set> find_supported() {
  std::vector<kernel_set> found;
#if defined(NEGPIPE_X86_64_KERNELS)
  // The other features of the levels (F16C, LZCNT, MOVBE) came with the same processors.
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("fma");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (v4) found.push_back(x86_64_v4_kernels);
  if (v3) found.push_back(x86_64_v3_kernels);
#endif
  found.push_back(portable_kernels);
  return found;
}

}  // namespace

std::span<const kernel_set> supported_kernels() {
  static const std::vector<kernel_set> sets = find_supported();
  return sets;
}

}  // namespace negpipe
