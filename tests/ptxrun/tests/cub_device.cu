// Scan, select, run lengths, reduce, histogram.
#include <algorithm>
#include <cub/cub.cuh>
#include <numeric>

#include "test.h"

struct Even {
  __host__ __device__ bool operator()(int x) const { return (x & 1) == 0; }
};
template <class F>
void withTemp(F f) {
  size_t t = 0;
  CU(f(nullptr, t));
  Dev<char> tmp(t);
  CU(f(tmp.p, t));
  CU(cudaDeviceSynchronize());
}
int main() {
  for (int n : {1, 2, 500, 3000, 70001}) {
    std::vector<int> h(n);
    for (int i = 0; i < n; i++) h[i] = int(mix(i / 3) % 50);
    Dev<int> d(h), o(n), cnt(1), len(n);
    std::vector<int> want(n);
    withTemp([&](void* p, size_t& t) { return cub::DeviceScan::ExclusiveSum(p, t, d.p, o.p, n); });
    std::exclusive_scan(h.begin(), h.end(), want.begin(), 0);
    CHECK(o.get() == want);
    Dev<uint64_t> o64(n);
    withTemp([&](void* p, size_t& t) { return cub::DeviceScan::InclusiveSum(p, t, d.p, o64.p, n); });
    CHECK(o64.get()[n - 1] == uint64_t(std::accumulate(h.begin(), h.end(), 0)));
    withTemp([&](void* p, size_t& t) { return cub::DeviceSelect::If(p, t, d.p, o.p, cnt.p, n, Even{}); });
    std::vector<int> e;
    std::copy_if(h.begin(), h.end(), std::back_inserter(e), Even{});
    auto r = o.get();
    CHECK(cnt.get()[0] == int(e.size()) && std::equal(e.begin(), e.end(), r.begin()));
    withTemp([&](void* p, size_t& t) { return cub::DeviceSelect::Unique(p, t, d.p, o.p, cnt.p, n); });
    e = h;
    e.erase(std::unique(e.begin(), e.end()), e.end());
    r = o.get();
    CHECK(cnt.get()[0] == int(e.size()) && std::equal(e.begin(), e.end(), r.begin()));
    std::vector<uint8_t> fl(n);
    for (int i = 0; i < n; i++) fl[i] = mix(i) % 3 == 0;
    Dev<uint8_t> df(fl);
    withTemp([&](void* p, size_t& t) { return cub::DeviceSelect::Flagged(p, t, d.p, df.p, o.p, cnt.p, n); });
    CHECK(cnt.get()[0] == int(std::accumulate(fl.begin(), fl.end(), 0)));
    withTemp([&](void* p, size_t& t) { return cub::DeviceRunLengthEncode::Encode(p, t, d.p, o.p, len.p, cnt.p, n); });
    std::vector<int> rl, rv;
    for (int i = 0; i < n; i++)
      if (!i || h[i] != h[i - 1]) {
        rl.push_back(1);
        rv.push_back(h[i]);
      } else
        rl.back()++;
    r = o.get();
    auto l = len.get();
    CHECK(cnt.get()[0] == int(rl.size()) && std::equal(rl.begin(), rl.end(), l.begin()) &&
          std::equal(rv.begin(), rv.end(), r.begin()));
    Dev<int> s(1), mx(1);
    withTemp([&](void* p, size_t& t) { return cub::DeviceReduce::Sum(p, t, d.p, s.p, n); });
    withTemp([&](void* p, size_t& t) { return cub::DeviceReduce::Max(p, t, d.p, mx.p, n); });
    CHECK(s.get()[0] == std::accumulate(h.begin(), h.end(), 0) && mx.get()[0] == *std::max_element(h.begin(), h.end()));
    Dev<int> hist(50);
    withTemp([&](void* p, size_t& t) { return cub::DeviceHistogram::HistogramEven(p, t, d.p, hist.p, 51, 0, 50, n); });
    std::vector<int> hh(50, 0);
    for (int x : h) hh[x]++;
    CHECK(hist.get() == hh);
  }
  return finish("cub_device");
}
