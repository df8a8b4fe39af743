// Helpers of the test programs.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

inline int g_failed = 0, g_checks = 0;
#define CHECK(x)                                            \
  do {                                                      \
    g_checks++;                                             \
    if (!(x)) {                                             \
      g_failed++;                                           \
      printf("FAILED %s:%d: %s\n", __FILE__, __LINE__, #x); \
    }                                                       \
  } while (0)
#define CU(x)                                                                           \
  do {                                                                                  \
    cudaError_t e_ = (x);                                                               \
    g_checks++;                                                                         \
    if (e_ != cudaSuccess) {                                                            \
      g_failed++;                                                                       \
      printf("FAILED %s:%d: %s: %s\n", __FILE__, __LINE__, #x, cudaGetErrorString(e_)); \
    }                                                                                   \
  } while (0)
inline int finish(const char* name) {
  printf("%s: %d checks, %d failed\n", name, g_checks, g_failed);
  return g_failed != 0;
}
template <class T>
struct Dev {  // a device array
  T* p = nullptr;
  size_t n;
  explicit Dev(size_t n_) : n(n_) { CU(cudaMalloc(&p, (n ? n : 1) * sizeof(T))); }
  explicit Dev(const std::vector<T>& v) : Dev(v.size()) {
    if (n) CU(cudaMemcpy(p, v.data(), n * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~Dev() { cudaFree(p); }
  Dev(const Dev&) = delete;
  std::vector<T> get() const {
    std::vector<T> v(n);
    if (n) CU(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
    return v;
  }
  operator T*() const { return p; }
};
inline uint64_t mix(uint64_t z) {
  z += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}
