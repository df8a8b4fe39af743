// Segmented sorts with empty, tiny, medium and large segments.
#include <algorithm>
#include <cub/cub.cuh>
#include <numeric>

#include "test.h"

template <class K>
void run(const std::vector<int>& sizes, bool radix) {
  std::vector<int> off{0};
  for (int s : sizes) off.push_back(off.back() + s);
  int n = off.back(), m = int(sizes.size());
  std::vector<K> h(n);
  std::vector<unsigned> v(n);
  for (int i = 0; i < n; i++) {
    h[i] = K(mix(i * 3)) % 5000;
    v[i] = i;
  }
  Dev<K> k(h), k2(n);
  Dev<unsigned> a(v), a2(n);
  Dev<int> o(off);
  size_t t = 0;
  auto go = [&](void* p) {
    return radix ? cub::DeviceSegmentedRadixSort::SortPairs(p, t, k.p, k2.p, a.p, a2.p, n, m, o.p, o.p + 1)
                 : cub::DeviceSegmentedSort::StableSortPairs(p, t, k.p, k2.p, a.p, a2.p, n, m, o.p, o.p + 1);
  };
  CU(go(nullptr));
  Dev<char> tmp(t);
  CU(go(tmp.p));
  CU(cudaDeviceSynchronize());
  auto rk = k2.get();
  auto rv = a2.get();
  int bad = 0;
  for (int s = 0; s < m; s++) {
    std::vector<unsigned> id(sizes[s]);
    std::iota(id.begin(), id.end(), off[s]);
    std::stable_sort(id.begin(), id.end(), [&](unsigned p, unsigned q) { return h[p] < h[q]; });
    for (int i = 0; i < sizes[s]; i++) bad += rk[off[s] + i] != h[id[i]] || rv[off[s] + i] != v[id[i]];
  }
  CHECK(bad == 0);
}
int main() {
  std::vector<int> mixed;
  for (int i = 0; i < 120; i++)
    mixed.push_back(i % 5 == 0 ? 0 : i % 5 == 1 ? int(mix(i) % 4) : i % 5 == 2 ? int(mix(i) % 40) : int(mix(i) % 300));
  mixed.push_back(9000);
  mixed.push_back(0);
  mixed.push_back(20001);
  for (bool radix : {false, true}) {
    run<unsigned>(mixed, radix);
    run<uint64_t>(mixed, radix);
    run<unsigned>({0, 0, 0}, radix);
    run<unsigned>({1}, radix);
    run<unsigned>({7000}, radix);
  }
  return finish("cub_segmented");
}
