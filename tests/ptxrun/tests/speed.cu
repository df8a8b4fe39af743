// Interpretation speed on integer kernels (not a pass or fail test).
#include <chrono>

#include "test.h"

__global__ void feistel(unsigned n, unsigned key, unsigned* user, unsigned* item, uint8_t* label) {
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    unsigned l = i >> 12, r = i & 4095;
    for (int k = 0; k < 8; k++) {
      unsigned long long p = (unsigned long long)r * 0xD2511F53u;
      unsigned f = unsigned(p >> 32) ^ unsigned(p) ^ key ^ unsigned(k * 0x9E3779B9u);
      unsigned t = (l ^ f) & 4095;
      l = r;
      r = t;
    }
    user[i] = l * 7 + r;
    item[i] = r ^ (l << 3);
    label[i] = (l ^ r) & 1;
  }
}
__global__ void shared(const unsigned* in, unsigned* out, int rounds) {
  __shared__ unsigned s[256];
  unsigned v = in[blockIdx.x * 256 + threadIdx.x];
  for (int k = 0; k < rounds; k++) {
    s[threadIdx.x] = v;
    __syncthreads();
    v = s[(threadIdx.x * 17 + k) & 255] * 5 + __shfl_xor_sync(~0u, v, 1);
    __syncthreads();
  }
  out[blockIdx.x * 256 + threadIdx.x] = v;
}
template <class F>
void time(const char* name, F f) {
  auto t0 = std::chrono::steady_clock::now();
  f();
  CU(cudaDeviceSynchronize());
  printf("%s: %.3f s\n", name, std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count());
}
int main() {
  unsigned n = 1 << 20;
  Dev<unsigned> a(n), b(n);
  Dev<uint8_t> c(n);
  time("feistel", [&] { feistel<<<256, 256>>>(n, 12345, a, b, c); });
  time("shared", [&] { shared<<<256, 256>>>(a, b, 200); });
  return finish("speed");
}
