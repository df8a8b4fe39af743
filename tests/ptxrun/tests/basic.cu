// The language: arithmetic, control flow, memory spaces, warp operations, atomics, barriers.
#include <cassert>

#include "test.h"

__global__ void vadd(const int* a, const int* b, int* c, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) c[i] = a[i] * 3 + b[i];
}
static void testVadd() {
  for (int n : {1, 31, 1000, 100003}) {
    std::vector<int> a(n), b(n);
    for (int i = 0; i < n; i++) a[i] = int(mix(i)), b[i] = int(mix(i + 77));
    Dev<int> da(a), db(b), dc(n);
    vadd<<<7, 160>>>(da, db, dc, n);
    CU(cudaDeviceSynchronize());
    auto c = dc.get();
    bool ok = true;
    for (int i = 0; i < n; i++) ok &= unsigned(c[i]) == unsigned(a[i]) * 3u + unsigned(b[i]);
    CHECK(ok);
  }
}

// Cache hints change no result, and an access with a policy is checked like any other.
__global__ void hinted(const unsigned* from, uint2* to, int n) {
  int i = threadIdx.x;
  if (i >= n) return;
  unsigned x;
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  asm("ld.global.nc.L2::cache_hint.u32 %0, [%1], %2;" : "=r"(x) : "l"(__cvta_generic_to_global(from + i)), "l"(policy));
  __stcs(to + i, make_uint2(x, x + 1));
}
static void testHints() {
  std::vector<unsigned> from{7, 1, 4000000000u};
  Dev<unsigned> a(from);
  Dev<uint2> b(std::vector<uint2>(3));
  hinted<<<1, 32>>>(a, b, 3);
  CU(cudaDeviceSynchronize());
  auto to = b.get();
  for (int i = 0; i < 3; i++) CHECK(to[i].x == from[i] && to[i].y == from[i] + 1);
}

struct Ops {
  uint64_t v[40];
};
__host__ __device__ inline uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> ((64 - k) & 63)); }
#ifndef __CUDA_ARCH__
static inline unsigned hfunnel(unsigned lo, unsigned hi, unsigned s) {
  return unsigned((((uint64_t(hi) << 32) | lo) << (s & 31)) >> 32);
}
static inline unsigned hfunnelr(unsigned lo, unsigned hi, unsigned s) {
  return unsigned(((uint64_t(hi) << 32) | lo) >> (s & 31));
}
static inline unsigned hbyteperm(unsigned a, unsigned b, unsigned s) {
  uint64_t x = a | (uint64_t(b) << 32);
  unsigned r = 0;
  for (int i = 0; i < 4; i++) r |= unsigned((x >> (8 * ((s >> (4 * i)) & 7))) & 255) << (8 * i);
  return r;
}
static inline uint64_t hbrev(uint64_t x, int bits) {
  uint64_t r = 0;
  for (int i = 0; i < bits; i++) r |= ((x >> i) & 1) << (bits - 1 - i);
  return r;
}
#endif
__host__ __device__ void ops(uint64_t x, uint64_t y, Ops& o) {
  int k = 0;
  unsigned a = unsigned(x), b = unsigned(y);
  int sa = int(a), sb = int(b);
#ifdef __CUDA_ARCH__
  o.v[k++] = __umul64hi(x, y);
  o.v[k++] = uint64_t(__mul64hi(int64_t(x), int64_t(y)));
  o.v[k++] = __umulhi(a, b);
  o.v[k++] = unsigned(__mulhi(sa, sb));
  o.v[k++] = __clzll(int64_t(x));
  o.v[k++] = __clz(sa);
  o.v[k++] = __ffs(sa);
  o.v[k++] = __ffsll(int64_t(x));
  o.v[k++] = __popc(a);
  o.v[k++] = __popcll(x);
  o.v[k++] = __brev(a);
  o.v[k++] = __brevll(x);
  o.v[k++] = __funnelshift_l(a, b, b >> 7);
  o.v[k++] = __funnelshift_r(a, b, b >> 9);
  o.v[k++] = __byte_perm(a, b, (b >> 3) & 0x7777);
  o.v[k++] = unsigned(__sad(sa, sb, a));
#else
  o.v[k++] = uint64_t((unsigned __int128)x * y >> 64);
  o.v[k++] = uint64_t(((__int128)int64_t(x) * int64_t(y)) >> 64);
  o.v[k++] = unsigned((uint64_t(a) * b) >> 32);
  o.v[k++] = unsigned((int64_t(sa) * sb) >> 32);
  o.v[k++] = x ? __builtin_clzll(x) : 64;
  o.v[k++] = a ? __builtin_clz(a) : 32;
  o.v[k++] = __builtin_ffs(sa);
  o.v[k++] = __builtin_ffsll(int64_t(x));
  o.v[k++] = __builtin_popcount(a);
  o.v[k++] = __builtin_popcountll(x);
  o.v[k++] = hbrev(a, 32);
  o.v[k++] = hbrev(x, 64);
  o.v[k++] = hfunnel(a, b, b >> 7);
  o.v[k++] = hfunnelr(a, b, b >> 9);
  o.v[k++] = hbyteperm(a, b, (b >> 3) & 0x7777);
  o.v[k++] = unsigned((sa > sb ? unsigned(sa) - unsigned(sb) : unsigned(sb) - unsigned(sa)) + a);
#endif
  o.v[k++] = y ? x / y : 1;
  o.v[k++] = y ? x % y : 1;
  o.v[k++] = b ? a / b : 1;
  o.v[k++] = b ? a % b : 1;
  o.v[k++] = uint64_t(int64_t(x) / int64_t((y & 1023) + 3));
  o.v[k++] = uint64_t(int64_t(x) % int64_t((y & 1023) + 3));
  o.v[k++] = unsigned(sa / int((b & 255) + 5));
  o.v[k++] = unsigned(sa % int((b & 255) + 5));
  o.v[k++] = rotl(x, int(y & 63));
  o.v[k++] = uint64_t(int64_t(x) >> (y & 63));
  o.v[k++] = unsigned(sa >> (b & 31));
  o.v[k++] = (x & 0xffff) * (y & 0xffff);
  o.v[k++] = uint64_t(int16_t(x)) + uint64_t(int8_t(y));
  o.v[k++] = uint16_t(x) + uint8_t(y);
  o.v[k++] = x < y ? x ^ y : x & ~y;
  o.v[k++] = int64_t(x) < int64_t(y) ? x | y : x - y;
  unsigned __int128 w = (unsigned __int128)x * y + ((unsigned __int128)y << 17) + x;
  o.v[k++] = uint64_t(w);
  o.v[k++] = uint64_t(w >> 64);
  unsigned __int128 q = w / ((unsigned __int128)(x | 1) << 3);
  o.v[k++] = uint64_t(q);
  o.v[k++] = uint64_t(q >> 64);
  float f = float(a >> 8) * 0.25f + float(sb);
  double d = double(int64_t(x)) / 3.0 + double(y);
  int fi = f > 2e9f ? 2000000000 : f < -2e9f ? -2000000000 : int(f);
  o.v[k++] = unsigned(fi);
  o.v[k++] = uint64_t(int64_t(d * 1e-3));
  o.v[k++] = f < 0 ? 1 : 2;
  o.v[k++] = unsigned(int(sqrt(double(a))));
}
__global__ void opsKernel(const uint64_t* x, const uint64_t* y, Ops* o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) ops(x[i], y[i], o[i]);
}
static void testOps() {
  int n = 700;
  std::vector<uint64_t> x(n), y(n);
  const uint64_t edge[] = {0,
                           1,
                           2,
                           31,
                           32,
                           63,
                           64,
                           0x7fffffff,
                           0x80000000,
                           0xffffffff,
                           0x100000000ull,
                           0x7fffffffffffffffull,
                           0x8000000000000000ull,
                           ~0ull};
  for (int i = 0; i < n; i++) {
    x[i] = i < 196 ? edge[i / 14] : mix(i);
    y[i] = i < 196 ? edge[i % 14] : mix(i * 31 + 5) >> (i % 60);
  }
  Dev<uint64_t> dx(x), dy(y);
  Dev<Ops> d(n);
  opsKernel<<<(n + 95) / 96, 96>>>(dx, dy, d, n);
  CU(cudaDeviceSynchronize());
  auto r = d.get();
  int bad = 0;
  for (int i = 0; i < n; i++) {
    Ops h;
    ops(x[i], y[i], h);
    for (int k = 0; k < 40; k++)
      if (h.v[k] != r[i].v[k]) {
        if (bad++ < 10)
          printf("op %d of %llx %llx: host %llx device %llx\n", k, (long long)x[i], (long long)y[i], (long long)h.v[k],
                 (long long)r[i].v[k]);
      }
  }
  CHECK(bad == 0);
}

__constant__ int kTable[8] = {1, 1, 2, 3, 5, 8, 13, 21};
__device__ int gCounter = 5;
__device__ uint64_t gArr[4];
__device__ const char* gName = "name";
__global__ void vars(int* o) {
  int i = threadIdx.x;
  o[i] = kTable[i & 7] + gCounter;
  if (i < 4) gArr[i] = uint64_t(i) * kTable[7 - i] + unsigned(gName[i]);
  __syncthreads();
  if (!i) gCounter = 99;
}
static void testVars() {
  Dev<int> o(64);
  vars<<<1, 64>>>(o);
  auto r = o.get();
  const int t[] = {1, 1, 2, 3, 5, 8, 13, 21};
  bool ok = true;
  for (int i = 0; i < 64; i++) ok &= r[i] == t[i & 7] + 5;
  CHECK(ok);
  int c = 0;
  CU(cudaMemcpyFromSymbol(&c, gCounter, sizeof c));
  CHECK(c == 99);
  uint64_t a[4];
  CU(cudaMemcpyFromSymbol(a, gArr, sizeof a));
  CHECK(a[1] == 13u + 'a' && a[3] == 15u + 'e');
  int nt[8] = {7, 7, 7, 7, 7, 7, 7, 8};
  CU(cudaMemcpyToSymbol(kTable, nt, sizeof nt));
  vars<<<1, 64>>>(o);
  r = o.get();
  CHECK(r[7] == 8 + 99 && r[0] == 7 + 99);
  void* p;
  CU(cudaGetSymbolAddress(&p, gCounter));
  int z = 3;
  CU(cudaMemcpy(p, &z, 4, cudaMemcpyHostToDevice));
  CU(cudaMemcpyFromSymbol(&c, gCounter, 4));
  CHECK(c == 3);
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800  // no redux instruction
__device__ int reduceMax(int v) {
  for (int o = 16; o; o >>= 1) v = max(v, __shfl_xor_sync(~0u, v, o));
  return v;
}
__device__ unsigned reduceAdd(unsigned m, unsigned v) {
  unsigned r = 0;
  for (int l = 0; l < 32; l++) {
    unsigned x = __shfl_sync(m, v, l);
    if (m >> l & 1) r += x;
  }
  return r;
}
#else
__device__ int reduceMax(int v) { return __reduce_max_sync(~0u, v); }
__device__ unsigned reduceAdd(unsigned m, unsigned v) { return __reduce_add_sync(m, v); }
#endif
__device__ int warpSum(int v) {
  for (int o = 16; o; o >>= 1) v += __shfl_down_sync(~0u, v, o);
  return v;
}
__global__ void reduce(const int* x, int n, long long* total, int* blockMax) {
  __shared__ int s[32];
  int i = blockIdx.x * blockDim.x + threadIdx.x, v = i < n ? x[i] : 0;
  int w = warpSum(v), m = reduceMax(v);
  if ((threadIdx.x & 31) == 0) s[threadIdx.x / 32] = w;
  atomicMax(blockMax + blockIdx.x, m);
  __syncthreads();
  if (threadIdx.x < 32) {
    int t = threadIdx.x < blockDim.x / 32 ? s[threadIdx.x] : 0;
    t = warpSum(t);
    if (!threadIdx.x) atomicAdd(reinterpret_cast<unsigned long long*>(total), (unsigned long long)(long long)t);
  }
}
__global__ void warpOps(unsigned* o) {
  unsigned l = threadIdx.x & 31, i = threadIdx.x;
  unsigned b = __ballot_sync(~0u, l % 3 == 0);
  unsigned m = __match_any_sync(~0u, l / 5);
  int p;
  unsigned ma = __match_all_sync(~0u, i / 32, &p);
  unsigned u = __shfl_up_sync(~0u, i * 2, 3), x = __shfl_xor_sync(~0u, i * 7, 5), d = __shfl_sync(~0u, i, (l * 5) & 31),
           s8 = __shfl_down_sync(~0u, i, 2, 8);
  unsigned any = __any_sync(~0u, l == 7), all = __all_sync(~0u, l < 31);
  unsigned part = 0;
  if (l & 1)
    part = __ballot_sync(0xaaaaaaaau, l > 9);  // in a divergent branch
  else
    part = reduceAdd(__activemask(), l);
  unsigned sub = __shfl_sync(m, l * 100, __ffs(m) - 1);  // different masks in one instruction
  o[i] = b ^ (m * 3) ^ (ma + p) ^ (u * 5) ^ (x << 3) ^ (d * 11) ^ (any << 20) ^ (all << 21) ^ (part * 17) ^ (s8 << 13) ^
         (sub * 29);
}
static unsigned hostWarpOps(unsigned i) {
  unsigned l = i & 31, w = i & ~31u, b = 0, m = 0, part = 0;
  for (unsigned k = 0; k < 32; k++) {
    if (k % 3 == 0) b |= 1u << k;
    if (k / 5 == l / 5) m |= 1u << k;
  }
  if (l & 1) {
    for (unsigned k = 1; k < 32; k += 2)
      if (k > 9) part |= 1u << k;
  } else
    for (unsigned k = 0; k < 32; k += 2) part += k;
  unsigned u = (l < 3 ? i : i - 3) * 2, x = (i ^ 5) * 7, d = w + ((l * 5) & 31), s8 = (l & 7) + 2 > 7 ? i : i + 2;
  return b ^ (m * 3) ^ (~0u + 1) ^ (u * 5) ^ (x << 3) ^ (d * 11) ^ (1u << 20) ^ (0u << 21) ^ (part * 17) ^ (s8 << 13) ^
         (unsigned(__builtin_ffs(m) - 1) * 100 * 29);
}
__global__ void atomics(unsigned* a, unsigned long long* b, int* s, float* f, unsigned* sh) {
  __shared__ unsigned x[8];
  if (threadIdx.x < 8) x[threadIdx.x] = threadIdx.x == 6 ? ~0u : 0;
  __syncthreads();
  unsigned t = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(a, t);
  atomicOr(a + 1, 1u << (t & 31));
  atomicAnd(a + 2, ~(1u << (t % 7)));
  atomicXor(a + 3, t * 77);
  atomicInc(a + 4, 99);
  atomicDec(a + 5, 50);
  atomicMin(a + 6, t + 3);
  atomicMax(a + 7, t);
  atomicSub(a + 8, 2);
  unsigned old = a[9], as;
  do {
    as = old;
    old = atomicCAS(a + 9, as, as * 1 + (t & 3));
  } while (old != as);
  atomicAdd(b, t * 1000000007ull);
  atomicMax(b + 1, (unsigned long long)t << 33);
  atomicExch(b + 2, 5ull);
  atomicMin(s, -int(t));
  atomicAdd(f, 0.5f);
  atomicAdd(x, 1);
  atomicAdd(x + 1, t);
  atomicMax(x + 5, t);
  atomicMin(x + 6, t);
  atomicXor(x + 7, t);
  __syncthreads();
  if (threadIdx.x < 8) atomicAdd(sh + threadIdx.x, x[threadIdx.x]);
}
static void testWarp() {
  int n = 5000;
  std::vector<int> x(n);
  long long sum = 0;
  for (int i = 0; i < n; i++) {
    x[i] = int(mix(i) % 2001) - 1000;
    sum += x[i];
  }
  Dev<int> dx(x), mx(20);
  Dev<long long> t(1);
  CU(cudaMemset(t, 0, 8));
  CU(cudaMemset(mx, 0x80, 80));
  reduce<<<20, 256>>>(dx, n, t, mx);
  CHECK(t.get()[0] == sum);
  auto m = mx.get();
  bool ok = true;
  for (int b = 0; b < 20; b++) {
    int h = INT32_MIN;
    for (int i = b * 256; i < (b + 1) * 256; i++) h = std::max(h, i < n ? x[i] : 0);
    ok &= h == m[b];
  }
  CHECK(ok);
  Dev<unsigned> o(128);
  warpOps<<<1, 128>>>(o);
  CU(cudaDeviceSynchronize());
  auto r = o.get();
  int bad = 0;
  for (unsigned i = 0; i < 128; i++) bad += r[i] != hostWarpOps(i);
  CHECK(bad == 0);
  std::vector<unsigned> ia(10, 0);
  ia[2] = ~0u;
  ia[6] = ~0u;
  Dev<unsigned> a(ia), sh(std::vector<unsigned>(8, 0));
  Dev<unsigned long long> b(std::vector<unsigned long long>(3, 0));
  Dev<int> s(std::vector<int>(1, 0));
  Dev<float> f(std::vector<float>(1, 0));
  atomics<<<5, 96>>>(a, b, s, f, sh);
  CU(cudaDeviceSynchronize());
  unsigned N = 480, xs = 0, xs2[5] = {}, cas = 0, mn = 0, mxs = 0;
  for (unsigned i = 0; i < N; i++) {
    xs ^= i * 77;
    xs2[i / 96] ^= i;
    cas += i & 3;
  }
  for (unsigned q = 0; q < 5; q++) {
    mn += q * 96;
    mxs += q * 96 + 95;
  }
  auto ra = a.get();
  CHECK(ra[0] == N * (N - 1) / 2 && ra[1] == ~0u && ra[2] == (~0u & ~127u) && ra[3] == xs && ra[4] == 480 % 100 &&
        ra[6] == 3 && ra[7] == 479 && ra[8] == 0u - 960u && ra[9] == cas);
  unsigned dec = 0;
  for (unsigned i = 0; i < N; i++) dec = (dec == 0 || dec > 50) ? 50 : dec - 1;
  CHECK(ra[5] == dec);
  auto rb = b.get();
  CHECK(rb[0] == 1000000007ull * (N * (N - 1) / 2) && rb[1] == 479ull << 33 && rb[2] == 5);
  CHECK(s.get()[0] == -479 && f.get()[0] == 240.0f);
  auto rs = sh.get();
  CHECK(rs[0] == N && rs[1] == N * (N - 1) / 2 && rs[5] == mxs && rs[6] == mn &&
        rs[7] == (xs2[0] + xs2[1] + xs2[2] + xs2[3] + xs2[4]));
}

__global__ void diverge(const int* x, int* o, int n) {
  __shared__ int s[256];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  s[threadIdx.x] = threadIdx.x;
  if (i >= n) return;  // exited threads do not count at later barriers
  int v = x[i], c = 0;
  while (v != 1 && c < 300) {
    v = (v & 1) ? 3 * v + 1 : v / 2;
    c++;
    if (c == 77) break;
  }
  switch (x[i] % 9) {
    case 0:
      c += 5;
      break;
    case 1:
      c *= 3;
      break;
    case 2:
      c -= x[i];
      break;
    case 3:
      c ^= 0x55;
      break;
    case 4:
      c = -c;
      break;
    case 5:
      c <<= 2;
      break;
    case 6:
      for (int k = 0; k < x[i] % 5; k++) c += k * s[threadIdx.x];
      break;
    default:
      break;
  }
  __syncthreads();
  o[i] = c;
}
static int hostDiverge(int x, int t) {
  int v = x, c = 0;
  while (v != 1 && c < 300) {
    v = (v & 1) ? 3 * v + 1 : v / 2;
    c++;
    if (c == 77) break;
  }
  switch (x % 9) {
    case 0:
      c += 5;
      break;
    case 1:
      c *= 3;
      break;
    case 2:
      c -= x;
      break;
    case 3:
      c ^= 0x55;
      break;
    case 4:
      c = -c;
      break;
    case 5:
      c <<= 2;
      break;
    case 6:
      for (int k = 0; k < x % 5; k++) c += k * t;
      break;
    default:
      break;
  }
  return c;
}
__global__ void barriers(int* o) {
  int t = threadIdx.x;
  int a = __syncthreads_count(t % 3 == 0), b = __syncthreads_and(t < 1000), c = __syncthreads_or(t == 5);
  __shared__ int buf[128];
  if (t < 64) {
    buf[t] = t;
    asm volatile("bar.sync 1, 64;" ::: "memory");
    o[t] = buf[63 - t] + a + b * 1000 + c * 2000;
  } else {
    buf[t] = -t;
    asm volatile("bar.sync 2, 64;" ::: "memory");
    o[t] = buf[191 - t] + a + b * 1000 + c * 2000;
  }
}
__global__ void spinLock(int* lock, int* count) {  // threads of one warp contend for a lock
  for (bool done = false; !done;) {
    if (atomicCAS(lock, 0, 1) == 0) {
      *(volatile int*)count += 1;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
}
__global__ void blockOrder(volatile int* flag, int* out) {  // each block waits for the one before it
  if (threadIdx.x == 0) {
    while (flag[blockIdx.x] == 0) __nanosleep(20);
    out[blockIdx.x] = blockIdx.x ? out[blockIdx.x - 1] + int(blockIdx.x) : 0;
    __threadfence();
    flag[blockIdx.x + 1] = 1;
  }
}
__global__ void gridBarrier(unsigned* arrived, int* x, int* y) {  // all blocks wait for all blocks
  x[blockIdx.x] = int(blockIdx.x) * 3;
  __threadfence();
  atomicAdd(arrived, 1u);
  while (*(volatile unsigned*)arrived < gridDim.x) {
  }
  y[blockIdx.x] = ((volatile int*)x)[(blockIdx.x + 1) % gridDim.x];
}
static void testFlow() {
  int n = 3000;
  std::vector<int> x(n);
  for (int i = 0; i < n; i++) x[i] = 1 + int(mix(i) % 5000);
  Dev<int> dx(x), o(n);
  diverge<<<(n + 191) / 192, 192>>>(dx, o, n);
  CU(cudaDeviceSynchronize());
  auto r = o.get();
  int bad = 0;
  for (int i = 0; i < n; i++) bad += r[i] != hostDiverge(x[i], i % 192);
  CHECK(bad == 0);
  Dev<int> b(128);
  barriers<<<1, 128>>>(b);
  CU(cudaDeviceSynchronize());
  auto rb = b.get();
  bad = 0;
  for (int t = 0; t < 128; t++) bad += rb[t] != (t < 64 ? 63 - t : -(191 - t)) + 43 + 3000;
  CHECK(bad == 0);
  Dev<int> l(std::vector<int>(2, 0));
  spinLock<<<3, 64>>>(l, l.p + 1);
  CU(cudaDeviceSynchronize());
  CHECK(l.get()[1] == 192);
  std::vector<int> fl(41, 0);
  fl[0] = 1;
  Dev<int> f(fl), out(40);
  blockOrder<<<40, 32>>>(f, out);
  CU(cudaDeviceSynchronize());
  CHECK(out.get()[39] == 39 * 40 / 2);
  Dev<unsigned> arr(std::vector<unsigned>(1, 0));
  Dev<int> gx(24), gy(24);
  gridBarrier<<<24, 1>>>(arr, gx, gy);
  CU(cudaDeviceSynchronize());
  auto gr = gy.get();
  bad = 0;
  for (int i = 0; i < 24; i++) bad += gr[i] != (i + 1) % 24 * 3;
  CHECK(bad == 0);
}

struct Big {
  int a[900];
  short s[10];
  double d;
};
struct Pod {
  uint8_t a;
  uint16_t b;
  uint64_t c;
  int d[3];
};
__device__ __noinline__ int helper(int a, Pod p) { return a * p.d[1] + p.a + int(p.c) - p.b; }
__global__ void structs(Big b, Pod p, int i, int* o) {
  extern __shared__ int dyn[];
  __shared__ short st[64];
  int loc[24];
  for (int k = 0; k < 24; k++) loc[k] = k * i + b.a[(k * 37 + i) % 900];
  dyn[threadIdx.x] = loc[(threadIdx.x * 5) % 24] + b.s[threadIdx.x % 10];
  st[threadIdx.x] = short(threadIdx.x * 3);
  __syncthreads();
  int x = dyn[threadIdx.x ^ 1] + st[63 - threadIdx.x] + int(b.d);
  o[threadIdx.x] = helper(x, p);
}
static void testStructs() {
  Big b;
  for (int i = 0; i < 900; i++) b.a[i] = int(mix(i) % 1000);
  for (int i = 0; i < 10; i++) b.s[i] = short(i * 1000 - 5000);
  b.d = 1234.5;
  Pod p{200, 60000, 123456789ull, {1, -7, 3}};
  Dev<int> o(64);
  CU(cudaFuncSetAttribute(structs, cudaFuncAttributeMaxDynamicSharedMemorySize, 100000));
  structs<<<1, 64, 90000>>>(b, p, 11, o);
  CU(cudaDeviceSynchronize());
  auto r = o.get();
  int bad = 0;
  for (int t = 0; t < 64; t++) {
    auto dyn = [&](int u) {
      int k = (u * 5) % 24;
      return k * 11 + b.a[(k * 37 + 11) % 900] + b.s[u % 10];
    };
    int x = dyn(t ^ 1) + (63 - t) * 3 + 1234;
    bad += r[t] != x * p.d[1] + p.a + int(p.c) - p.b;
  }
  CHECK(bad == 0);
  structs<<<1, 64, 300000>>>(b, p, 11, o);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  structs<<<1, 2048>>>(b, p, 11, o);
  CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
  CHECK(cudaGetLastError() == cudaSuccess);
  cudaFuncAttributes a;
  CU(cudaFuncGetAttributes(&a, structs));
  CHECK(a.sharedSizeBytes == 128 && a.ptxVersion >= 75 && a.numRegs > 0);
}

__global__ void bitsetBuild(const unsigned* items, int n, unsigned* bits) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicOr(bits + items[i] / 32, 1u << (items[i] & 31));
}
__global__ void bitsetQuery(const unsigned* __restrict__ bits, int n, uint8_t* out) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = (__ldg(bits + i / 32) >> (i & 31)) & 1;
}
static void testBitset() {
  int n = 3000, m = 40000;
  std::vector<unsigned> it(n);
  std::vector<uint8_t> h(m, 0);
  for (int i = 0; i < n; i++) {
    it[i] = unsigned(mix(i) % m);
    h[it[i]] = 1;
  }
  Dev<unsigned> d(it), bits(m / 32);
  Dev<uint8_t> out(m);
  CU(cudaMemset(bits, 0, m / 8));
  bitsetBuild<<<(n + 127) / 128, 128>>>(d, n, bits);
  bitsetQuery<<<10, 256>>>(bits, m, out);
  CHECK(out.get() == h);
}

__global__ void hello(int n) {
  if (threadIdx.x < 2)
    printf("hello %d from %u: %5.2f %s %llx%%\n", n, threadIdx.x, n * 0.5, "text", 0x123456789abcull);
  assert(n == 42);
}

int main() {
  testVadd();
  testHints();
  testOps();
  testVars();
  testWarp();
  testFlow();
  testStructs();
  testBitset();
  hello<<<1, 32>>>(42);
  CU(cudaDeviceSynchronize());
  return finish("basic");
}
