// Thrust algorithms and iterators on device vectors.
#include <thrust/binary_search.h>
#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/for_each.h>
#include <thrust/gather.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/permutation_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <thrust/iterator/zip_iterator.h>
#include <thrust/random.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/scatter.h>
#include <thrust/sequence.h>
#include <thrust/shuffle.h>
#include <thrust/sort.h>
#include <thrust/transform.h>
#include <thrust/unique.h>

#include <algorithm>
#include <numeric>

#include "test.h"

template <class T>
std::vector<T> host(const thrust::device_vector<T>& d) {
  std::vector<T> v(d.size());
  thrust::copy(d.begin(), d.end(), v.begin());
  return v;
}
struct Less {
  __host__ __device__ bool operator()(int a, int b) const { return (a % 97) < (b % 97); }
};

int main() {
  for (int n : {1, 100, 5000, 60000}) {
    std::vector<unsigned long long> h(n);
    std::vector<int> w(n);
    for (int i = 0; i < n; i++) {
      h[i] = mix(i) >> (i % 20);
      w[i] = int(mix(i + 5) % 1000);
    }
    thrust::device_vector<unsigned long long> d(h.begin(), h.end());
    thrust::device_vector<int> v(w.begin(), w.end());
    auto hs = h;
    std::sort(hs.begin(), hs.end());
    thrust::sort(d.begin(), d.end());
    CHECK(host(d) == hs);
    thrust::device_vector<int> key(w.begin(), w.end()), val(n);
    thrust::sequence(val.begin(), val.end());
    thrust::stable_sort_by_key(key.begin(), key.end(), val.begin());
    std::vector<int> id(n);
    std::iota(id.begin(), id.end(), 0);
    std::stable_sort(id.begin(), id.end(), [&](int a, int b) { return w[a] < w[b]; });
    CHECK(host(val) == id);
    thrust::device_vector<int> cmp(w.begin(), w.end());  // merge sort: a comparison of its own
    thrust::stable_sort(cmp.begin(), cmp.end(), Less{});
    auto wc = w;
    std::stable_sort(wc.begin(), wc.end(), Less{});
    CHECK(host(cmp) == wc);
    auto e = thrust::unique(key.begin(), key.end());
    auto ws = w;
    std::sort(ws.begin(), ws.end());
    auto wu = ws;
    wu.erase(std::unique(wu.begin(), wu.end()), wu.end());
    CHECK(size_t(e - key.begin()) == wu.size() && std::equal(wu.begin(), wu.end(), host(key).begin()));
    thrust::device_vector<int> sc(n);
    thrust::exclusive_scan(v.begin(), v.end(), sc.begin());
    std::vector<int> hx(n);
    std::exclusive_scan(w.begin(), w.end(), hx.begin(), 0);
    CHECK(host(sc) == hx);
    thrust::device_vector<int> sk(ws.begin(), ws.end());
    thrust::inclusive_scan_by_key(sk.begin(), sk.end(), v.begin(), sc.begin());
    for (int i = 0; i < n; i++) hx[i] = w[i] + (i && ws[i] == ws[i - 1] ? hx[i - 1] : 0);
    CHECK(host(sc) == hx);
    thrust::device_vector<int> map(id.begin(), id.end()), g(n), s(n);
    thrust::gather(map.begin(), map.end(), v.begin(), g.begin());
    thrust::scatter(v.begin(), v.end(), map.begin(), s.begin());
    for (int i = 0; i < n; i++) hx[i] = w[id[i]];
    CHECK(host(g) == hx);
    for (int i = 0; i < n; i++) hx[id[i]] = w[i];
    CHECK(host(s) == hx);
    thrust::device_vector<int> lb(n);
    thrust::lower_bound(sk.begin(), sk.end(), v.begin(), v.end(), lb.begin());
    for (int i = 0; i < n; i++) hx[i] = int(std::lower_bound(ws.begin(), ws.end(), w[i]) - ws.begin());
    CHECK(host(lb) == hx);
    thrust::transform(v.begin(), v.end(), g.begin(), s.begin(),
                      [] __host__ __device__(int a, int b) { return a * 3 - b; });
    for (int i = 0; i < n; i++) hx[i] = w[i] * 3 - w[id[i]];
    CHECK(host(s) == hx);
    thrust::transform(thrust::counting_iterator<int>(0), thrust::counting_iterator<int>(n), s.begin(),
                      [] __host__ __device__(int a) { return int(unsigned(a) * unsigned(a) % 1013u); });
    for (int i = 0; i < n; i++) hx[i] = int(unsigned(i) * unsigned(i) % 1013u);
    CHECK(host(s) == hx);
    auto* p = thrust::raw_pointer_cast(s.data());
    thrust::for_each(thrust::counting_iterator<int>(0), thrust::counting_iterator<int>(n),
                     [p] __device__(int i) { p[i] += i; });
    for (int i = 0; i < n; i++) hx[i] += i;
    CHECK(host(s) == hx);
    auto zip = thrust::make_zip_iterator(
        thrust::make_tuple(v.begin(), thrust::make_permutation_iterator(v.begin(), map.begin())));
    thrust::transform(zip, zip + n, s.begin(), [] __host__ __device__(const thrust::tuple<int, int>& t) {
      return thrust::get<0>(t) * 2 + thrust::get<1>(t);
    });
    for (int i = 0; i < n; i++) hx[i] = w[i] * 2 + w[id[i]];
    CHECK(host(s) == hx);
    auto tr = thrust::make_transform_iterator(v.begin(), [] __host__ __device__(int x) { return (long long)x * x; });
    long long sum = thrust::reduce(tr, tr + n, 0ll), hsum = 0;
    for (int x : w) hsum += (long long)x * x;
    CHECK(sum == hsum);
    thrust::device_vector<int> ks(n), vs(n);
    auto ends = thrust::reduce_by_key(sk.begin(), sk.end(), thrust::constant_iterator<int>(1), ks.begin(), vs.begin());
    CHECK(size_t(ends.first - ks.begin()) == wu.size());
    thrust::device_vector<int> sh(n);
    thrust::default_random_engine eng(42);
    thrust::shuffle_copy(val.begin(), val.end(), sh.begin(), eng);
    auto r = host(sh);
    std::sort(r.begin(), r.end());
    std::iota(id.begin(), id.end(), 0);
    CHECK(r == id);
  }
  return finish("thrust");
}
