// Block-wide primitives, and device radix sorts of many sizes.
#include <algorithm>
#include <cub/cub.cuh>
#include <numeric>

#include "test.h"

template <class K, int T, int I>
__global__ void blockSort(const K* in, K* out, int* idx, int* scan, int* sum) {
  using Sort = cub::BlockRadixSort<K, T, I, int>;
  using Scan = cub::BlockScan<int, T>;
  using Red = cub::BlockReduce<int, T>;
  using Load = cub::BlockLoad<K, T, I, cub::BLOCK_LOAD_TRANSPOSE>;
  __shared__ union {
    typename Sort::TempStorage a;
    typename Scan::TempStorage b;
    typename Red::TempStorage c;
    typename Load::TempStorage d;
  } t;
  K k[I];
  int v[I], s[I];
  Load(t.d).Load(in + blockIdx.x * T * I, k);
  for (int i = 0; i < I; i++) {
    v[i] = threadIdx.x * I + i;
    s[i] = int(k[i] & 15);
  }
  __syncthreads();
  Scan(t.b).ExclusiveSum(s, s);
  __syncthreads();
  int total = Red(t.c).Sum(int(k[0] & 255));
  __syncthreads();
  Sort(t.a).SortBlockedToStriped(k, v);
  for (int i = 0; i < I; i++) {
    int p = blockIdx.x * T * I + i * T + threadIdx.x;
    out[p] = k[i];
    idx[p] = v[i];
    scan[blockIdx.x * T * I + threadIdx.x * I + i] = s[i];
  }
  if (!threadIdx.x) sum[blockIdx.x] = total;
}
template <class K, int T, int I>
void testBlock() {
  int nb = 3, per = T * I, n = nb * per;
  std::vector<K> h(n);
  for (int i = 0; i < n; i++) h[i] = K(mix(i)) >> (i % 7 * 4);
  Dev<K> d(h), o(n);
  Dev<int> x(n), sc(n), su(nb);
  blockSort<K, T, I><<<nb, T>>>(d, o, x, sc, su);
  CU(cudaDeviceSynchronize());
  auto ro = o.get();
  auto rx = x.get(), rs = sc.get(), ru = su.get();
  int bad = 0;
  for (int b = 0; b < nb; b++) {
    std::vector<int> id(per);
    std::iota(id.begin(), id.end(), 0);
    std::stable_sort(id.begin(), id.end(), [&](int p, int q) { return h[b * per + p] < h[b * per + q]; });
    int acc = 0, tot = 0;
    for (int i = 0; i < per; i++) {
      bad += rx[b * per + i] != id[i] || ro[b * per + i] != h[b * per + id[i]] || rs[b * per + i] != acc;
      acc += int(h[b * per + i] & 15);
      if (i % I == 0) tot += int(h[b * per + i] & 255);
    }
    bad += tot != ru[b];
  }
  CHECK(bad == 0);
}
template <class K>
void testDevice(int n, bool desc) {
  std::vector<K> h(n);
  std::vector<int> v(n), id(n);
  for (int i = 0; i < n; i++) {
    h[i] = K(mix(i + n)) >> (i % 3 * 8);
    v[i] = i * 7;
    id[i] = i;
  }
  Dev<K> k(h), k2(n);
  Dev<int> a(v), a2(n);
  size_t t = 0;
  auto go = [&](void* p) {
    return desc ? cub::DeviceRadixSort::SortPairsDescending(p, t, k.p, k2.p, a.p, a2.p, n)
                : cub::DeviceRadixSort::SortPairs(p, t, k.p, k2.p, a.p, a2.p, n);
  };
  CU(go(nullptr));
  Dev<char> tmp(t);
  CU(go(tmp.p));
  CU(cudaDeviceSynchronize());
  std::stable_sort(id.begin(), id.end(), [&](int p, int q) { return desc ? h[p] > h[q] : h[p] < h[q]; });
  auto rk = k2.get();
  auto rv = a2.get();
  int bad = 0;
  for (int i = 0; i < n; i++) bad += rk[i] != h[id[i]] || rv[i] != v[id[i]];
  CHECK(bad == 0);
}
int main() {
  testBlock<unsigned, 128, 4>();
  testBlock<unsigned, 96, 3>();
  testBlock<uint64_t, 64, 5>();
  for (int n : {0, 1, 2, 1000, 100000}) {
    testDevice<unsigned>(n, false);
    testDevice<uint64_t>(n, false);
    testDevice<int>(n, true);
  }
  return finish("cub_block_radix");
}
