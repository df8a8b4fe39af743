// cooperative_groups: tiles, coalesced groups, and a grid barrier.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>

#include "test.h"
namespace cg = cooperative_groups;

__global__ void tiles(const int* x, int* o) {
  auto b = cg::this_thread_block();
  auto t = cg::tiled_partition<8>(b);
  int v = x[b.thread_rank()];
  int s = cg::reduce(t, v, cg::plus<int>());
  int m = 0;
  if (v & 1) {
    auto c = cg::coalesced_threads();
    m = int(c.size()) * 1000 + int(c.thread_rank());
  }
  b.sync();
  o[b.thread_rank()] = s + m;
}
__global__ void gridSync(int* a, int* b, int rounds) {
  auto g = cg::this_grid();
  int i = int(g.thread_rank()), n = int(g.size());
  for (int r = 0; r < rounds; r++) {
    b[i] = a[(i + 1) % n] + 1;
    g.sync();
    a[i] = b[(i + 1) % n];
    g.sync();
  }
}
int main() {
  std::vector<int> x(64);
  for (int i = 0; i < 64; i++) x[i] = int(mix(i) % 100);
  Dev<int> d(x), o(64);
  tiles<<<1, 64>>>(d, o);
  auto r = o.get();
  int bad = 0;
  for (int i = 0; i < 64; i++) {
    int s = 0, c = 0, k = 0;
    for (int j = i / 8 * 8; j < i / 8 * 8 + 8; j++) s += x[j];
    for (int j = i / 32 * 32; j < i / 32 * 32 + 32; j++) {
      c += x[j] & 1;
      if (j < i) k += x[j] & 1;
    }
    bad += r[i] != s + (x[i] & 1 ? c * 1000 + k : 0);
  }
  CHECK(bad == 0);
  int n = 20 * 64, rounds = 3;
  std::vector<int> h(n), t(n);
  for (int i = 0; i < n; i++) h[i] = i * 3;
  Dev<int> a(h), b(n);
  void* args[] = {&a.p, &b.p, &rounds};
  CU(cudaLaunchCooperativeKernel(gridSync, dim3(20), dim3(64), args, 0, cudaStream_t(0)));
  CU(cudaDeviceSynchronize());
  for (int q = 0; q < rounds; q++) {
    for (int i = 0; i < n; i++) t[i] = h[(i + 1) % n] + 1;
    for (int i = 0; i < n; i++) h[i] = t[(i + 1) % n];
  }
  CHECK(a.get() == h);
  CHECK(cudaLaunchCooperativeKernel(gridSync, dim3(100000), dim3(64), args, 0, cudaStream_t(0)) ==
        cudaErrorCooperativeLaunchTooLarge);
  (void)cudaGetLastError();
  return finish("groups");
}
