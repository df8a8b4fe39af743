// The Philox4x32-10 device generator against a plain host version of the algorithm.
#include <curand_kernel.h>

#include "test.h"

struct Four {
  unsigned v[4];
};
static Four philox(uint64_t key, uint64_t ctrLo, uint64_t ctrHi) {
  unsigned c[4] = {unsigned(ctrLo), unsigned(ctrLo >> 32), unsigned(ctrHi), unsigned(ctrHi >> 32)},
           k[2] = {unsigned(key), unsigned(key >> 32)};
  for (int r = 0; r < 10; r++) {
    uint64_t p0 = uint64_t(0xD2511F53u) * c[0], p1 = uint64_t(0xCD9E8D57u) * c[2];
    unsigned n[4] = {unsigned(p1 >> 32) ^ c[1] ^ k[0], unsigned(p1), unsigned(p0 >> 32) ^ c[3] ^ k[1], unsigned(p0)};
    memcpy(c, n, sizeof c);
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  Four f;
  memcpy(f.v, c, sizeof c);
  return f;
}
// Word number w of subsequence s: block w/4, with the subsequence in the upper half of the counter.
static unsigned word(uint64_t seed, uint64_t s, uint64_t w) { return philox(seed, w / 4, s).v[w % 4]; }

__global__ void single(unsigned long long seed, unsigned long long off, unsigned* o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  curandStatePhilox4_32_10_t st;
  curand_init(seed, i, off, &st);
  for (int k = 0; k < 7; k++) o[i * 16 + k] = curand(&st);
  skipahead(1001ull, &st);
  o[i * 16 + 7] = curand(&st);
  uint4 q = curand4(&st);
  o[i * 16 + 8] = q.x;
  o[i * 16 + 9] = q.y;
  o[i * 16 + 10] = q.z;
  o[i * 16 + 11] = q.w;
  float f = curand_uniform(&st);
  double d = curand_uniform_double(&st);
  o[i * 16 + 12] = f > 0.0f && f <= 1.0f;
  o[i * 16 + 13] = d > 0.0 && d <= 1.0;
  float nn = curand_normal(&st);
  o[i * 16 + 14] = nn > -7.0f && nn < 7.0f;
  o[i * 16 + 15] = 1;
}
int main() {
  int n = 300;
  for (unsigned long long seed : {1ull, 0x123456789abcdefull})
    for (unsigned long long off : {0ull, 4ull, 5ull, 4000000003ull}) {
      Dev<unsigned> o(n * 16);
      single<<<3, 128>>>(seed, off, o, n);
      CU(cudaDeviceSynchronize());
      auto r = o.get();
      int bad = 0;
      for (int i = 0; i < n; i++) {
        for (int k = 0; k < 7; k++) bad += r[i * 16 + k] != word(seed, i, off + k);
        bad += r[i * 16 + 7] != word(seed, i, off + 7 + 1001);
        for (int k = 0; k < 4; k++) bad += r[i * 16 + 8 + k] != word(seed, i, off + 1009 + k);
        for (int k = 12; k < 16; k++) bad += r[i * 16 + k] != 1;
      }
      CHECK(bad == 0);
    }
  return finish("curand");
}
