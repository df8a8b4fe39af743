#include "kernels.hpp"

#include <vector>

namespace negpipe {

namespace {

std::vector<kernel_set> find_supported() {
  std::vector<kernel_set> found;
#if defined(NEGPIPE_X86_64_V3_KERNELS)
  // The rest of the level (F16C, LZCNT, MOVBE) came with the same processors as these.
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
      __builtin_cpu_supports("fma")) {
    found.push_back(x86_64_v3_kernels);
  }
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
