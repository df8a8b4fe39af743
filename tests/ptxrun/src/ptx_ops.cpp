// The arithmetic instructions: one small loop over the 32 lanes for each, in two forms (all lanes,
// some lanes), which the compiler vectorises. Registers are stored as [slot][lane], 32-bit slots for
// types of up to 32 bits, 64-bit slots for the rest; predicates are one 32-bit mask.
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "exec.h"

namespace ptxrun {
namespace {

using u8 = uint8_t;
using s8 = int8_t;
using u16 = uint16_t;
using s16 = int16_t;
using u32 = uint32_t;
using s32 = int32_t;
using u64 = uint64_t;
using s64 = int64_t;
using f32 = float;
using f64 = double;
using u128 = unsigned __int128;
using s128 = __int128;

template <class T>
using Slot = std::conditional_t<sizeof(T) == 8, u64, u32>;
template <class T>
inline T get(Slot<T> x) {
  if constexpr (std::is_floating_point_v<T>)
    return std::bit_cast<T>(x);
  else
    return T(x);
}
template <class T>
inline Slot<T> put(T v) {
  if constexpr (std::is_floating_point_v<T>)
    return std::bit_cast<Slot<T>>(v);
  else if constexpr (sizeof(T) == 2)
    return u16(v);
  else
    return Slot<T>(v);
}
template <class T>
constexpr char sto() {
  return sizeof(T) == 8 ? 'd' : 'w';
}

template <class R>
inline void merge(Slot<R>* d, int l, R v, const s32* m) {
  Slot<R> k = Slot<R>(s64(m[l]));
  d[l] = (d[l] & ~k) | (put<R>(v) & k);
}

template <bool Full, class R, class A, class F>
void h1(Warp& w, const Inst& i) {
  auto* d = w.out<Slot<R>>(i.op[0]);
  auto* a = w.in<Slot<A>>(i.op[1]);
  F f;
#pragma GCC ivdep
  for (int l = 0; l < 32; l++) {
    if constexpr (Full)
      d[l] = put<R>(f(get<A>(a[l])));
    else
      merge<R>(d, l, f(get<A>(a[l])), w.lm);
  }
}
template <bool Full, class R, class A, class B, class F>
void h2(Warp& w, const Inst& i) {
  auto* d = w.out<Slot<R>>(i.op[0]);
  auto* a = w.in<Slot<A>>(i.op[1]);
  auto* b = w.in<Slot<B>>(i.op[2]);
  F f;
#pragma GCC ivdep
  for (int l = 0; l < 32; l++) {
    if constexpr (Full)
      d[l] = put<R>(f(get<A>(a[l]), get<B>(b[l])));
    else
      merge<R>(d, l, f(get<A>(a[l]), get<B>(b[l])), w.lm);
  }
}
template <bool Full, class R, class A, class B, class C, class F>
void h3(Warp& w, const Inst& i) {
  auto* d = w.out<Slot<R>>(i.op[0]);
  auto* a = w.in<Slot<A>>(i.op[1]);
  auto* b = w.in<Slot<B>>(i.op[2]);
  auto* c = w.in<Slot<C>>(i.op[3]);
  F f;
#pragma GCC ivdep
  for (int l = 0; l < 32; l++) {
    if constexpr (Full)
      d[l] = put<R>(f(get<A>(a[l]), get<B>(b[l]), get<C>(c[l])));
    else
      merge<R>(d, l, f(get<A>(a[l]), get<B>(b[l]), get<C>(c[l])), w.lm);
  }
}
template <bool Full, class R, class A, class B, class C, class D, class F>
void h4(Warp& w, const Inst& i) {
  auto* d = w.out<Slot<R>>(i.op[0]);
  auto* a = w.in<Slot<A>>(i.op[1]);
  auto* b = w.in<Slot<B>>(i.op[2]);
  auto* c = w.in<Slot<C>>(i.op[3]);
  auto* e = w.in<Slot<D>>(i.op[4]);
  F f;
#pragma GCC ivdep
  for (int l = 0; l < 32; l++) {
    if constexpr (Full)
      d[l] = put<R>(f(get<A>(a[l]), get<B>(b[l]), get<C>(c[l]), get<D>(e[l])));
    else
      merge<R>(d, l, f(get<A>(a[l]), get<B>(b[l]), get<C>(c[l]), get<D>(e[l])), w.lm);
  }
}

std::unordered_map<std::string, AluEntry>& table() {
  static auto* t = new std::unordered_map<std::string, AluEntry>;
  return *t;
}
void add(const std::string& k, Fn f0, Fn f1, int nd, const char* s) {
  AluEntry e{f0, f1, u8(nd), u8(strlen(s)), {}};
  memcpy(e.sto, s, strlen(s));
  table()[k] = e;
}
template <class R, class A, class F>
void op1(const std::string& k, F) {
  char s[] = {sto<R>(), sto<A>(), 0};
  add(k, h1<false, R, A, F>, h1<true, R, A, F>, 1, s);
}
template <class R, class A, class B, class F>
void op2(const std::string& k, F) {
  char s[] = {sto<R>(), sto<A>(), sto<B>(), 0};
  add(k, h2<false, R, A, B, F>, h2<true, R, A, B, F>, 1, s);
}
template <class R, class A, class B, class C, class F>
void op3(const std::string& k, F) {
  char s[] = {sto<R>(), sto<A>(), sto<B>(), sto<C>(), 0};
  add(k, h3<false, R, A, B, C, F>, h3<true, R, A, B, C, F>, 1, s);
}
template <class R, class A, class B, class C, class D, class F>
void op4(const std::string& k, F) {
  char s[] = {sto<R>(), sto<A>(), sto<B>(), sto<C>(), sto<D>(), 0};
  add(k, h4<false, R, A, B, C, D, F>, h4<true, R, A, B, C, D, F>, 1, s);
}

// ---- comparison

template <class T, class F>
u32 compare(const Warp& w, const Inst& i) {
  auto* a = w.in<Slot<T>>(i.op[2]);
  auto* b = w.in<Slot<T>>(i.op[3]);
  F f;
  alignas(32) u8 t[32];
#pragma GCC ivdep
  for (int l = 0; l < 32; l++) t[l] = f(get<T>(a[l]), get<T>(b[l]));
  u32 m = 0;
  for (int q = 0; q < 4; q++) {  // gather the low bit of eight bytes
    u64 x;
    memcpy(&x, t + 8 * q, 8);
    m |= u32((x * 0x0102040810204080ull) >> 56) << (8 * q);
  }
  return m;
}
template <class T, class F>
void hset(Warp& w, const Inst& i) {
  u32 m = compare<T, F>(w, i), n = ~m;
  if (i.sub) {
    u32 c = w.pred(i.op[4]);
    if (i.sub == 1) {
      m &= c;
      n &= c;
    } else if (i.sub == 2) {
      m |= c;
      n |= c;
    } else {
      m ^= c;
      n ^= c;
    }
  }
  u32 k = w.mask;
  u32 *p = w.pred_dst(i.op[0]), *q = w.pred_dst(i.op[1]);
  *p = (*p & ~k) | (m & k);
  *q = (*q & ~k) | (n & k);
}
template <class T, class F>
void cmp(const std::string& c, const char* t, F) {
  add("setp." + c + "." + t, hset<T, F>, hset<T, F>, 2, sizeof(T) == 8 ? "ppdd" : "ppww");
}
template <class T>
void cmps(const char* t) {
  cmp<T>("eq", t, [](T a, T b) { return a == b; });
  cmp<T>("ne", t, [](T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a < b || a > b;
    else
      return a != b;
  });
  cmp<T>("lt", t, [](T a, T b) { return a < b; });
  cmp<T>("le", t, [](T a, T b) { return a <= b; });
  cmp<T>("gt", t, [](T a, T b) { return a > b; });
  cmp<T>("ge", t, [](T a, T b) { return a >= b; });
  if constexpr (std::is_floating_point_v<T>) {
    cmp<T>("equ", t, [](T a, T b) { return !(a < b || a > b); });
    cmp<T>("neu", t, [](T a, T b) { return a != b; });
    cmp<T>("ltu", t, [](T a, T b) { return !(a >= b); });
    cmp<T>("leu", t, [](T a, T b) { return !(a > b); });
    cmp<T>("gtu", t, [](T a, T b) { return !(a <= b); });
    cmp<T>("geu", t, [](T a, T b) { return !(a < b); });
    cmp<T>("num", t, [](T a, T b) { return a == a && b == b; });
    cmp<T>("nan", t, [](T a, T b) { return a != a || b != b; });
  }
}

// ---- predicates

template <class F>
void hp1(Warp& w, const Inst& i) {
  u32 v = F{}(w.pred(i.op[1])), *d = w.pred_dst(i.op[0]), k = w.mask;
  *d = (*d & ~k) | (v & k);
}
template <class F>
void hp2(Warp& w, const Inst& i) {
  u32 v = F{}(w.pred(i.op[1]), w.pred(i.op[2])), *d = w.pred_dst(i.op[0]), k = w.mask;
  *d = (*d & ~k) | (v & k);
}
template <class F>
void p1(const std::string& k, F) {
  add(k, hp1<F>, hp1<F>, 1, "pp");
}
template <class F>
void p2(const std::string& k, F) {
  add(k, hp2<F>, hp2<F>, 1, "ppp");
}

// ---- selp

template <class T>
void hselp(Warp& w, const Inst& i) {
  auto* d = w.out<Slot<T>>(i.op[0]);
  auto* a = w.in<Slot<T>>(i.op[1]);
  auto* b = w.in<Slot<T>>(i.op[2]);
  u32 p = w.pred(i.op[3]);
  if (w.mask == ~0u) {
#pragma GCC ivdep
    for (int l = 0; l < 32; l++) {
      Slot<T> k = Slot<T>(0) - Slot<T>((p >> l) & 1);
      d[l] = put<T>(get<T>((a[l] & k) | (b[l] & ~k)));
    }
  } else {
#pragma GCC ivdep
    for (int l = 0; l < 32; l++) {
      Slot<T> k = Slot<T>(0) - Slot<T>((p >> l) & 1);
      merge<T>(d, l, get<T>((a[l] & k) | (b[l] & ~k)), w.lm);
    }
  }
}

// ---- packing

template <int N, class W>
void hpack(Warp& w, const Inst& i) {  // N parts into one word
  auto* d = w.out<W>(i.op[0]);
  constexpr int bits = int(sizeof(W)) * 8 / N;
  for (int l = 0; l < 32; l++) {
    if (!(w.mask >> l & 1)) continue;
    W v = 0;
    for (int k = 0; k < N; k++) v |= (W(w.in<u32>(i.op[1 + k])[l]) & ((W(1) << bits) - 1)) << (bits * k);
    d[l] = v;
  }
}
template <int N, class W>
void hunpack(Warp& w, const Inst& i) {
  auto* s = w.in<W>(i.op[N]);
  constexpr int bits = int(sizeof(W)) * 8 / N;
  for (int l = 0; l < 32; l++) {
    if (!(w.mask >> l & 1)) continue;
    W v = s[l];
    for (int k = 0; k < N; k++) w.out<u32>(i.op[k])[l] = u32((v >> (bits * k)) & ((W(1) << bits) - 1));
  }
}

// ---- carry chains: the flag is a predicate

template <class T, class F, bool First>
void hcarry3(Warp& w, const Inst& i) {  // d, cc = f(a, b, cin)
  auto* d = w.out<T>(i.op[0]);
  auto* a = w.in<T>(i.op[2]);
  auto* b = w.in<T>(i.op[3]);
  u32 cin = i.nop > 4 ? w.pred(i.op[4]) : First ? ~0u : 0, co = 0;
  for (int l = 0; l < 32; l++) {
    if (!(w.mask >> l & 1)) continue;
    bool c = cin >> l & 1;
    d[l] = F{}(a[l], b[l], c);
    co |= u32(c) << l;
  }
  u32* p = w.pred_dst(i.op[1]);
  *p = (*p & ~w.mask) | co;
}
template <class T, class F>
void hmadc(Warp& w, const Inst& i) {
  auto* d = w.out<T>(i.op[0]);
  auto* a = w.in<T>(i.op[2]);
  auto* b = w.in<T>(i.op[3]);
  auto* c = w.in<T>(i.op[4]);
  u32 cin = i.nop > 5 ? w.pred(i.op[5]) : 0, co = 0;
  for (int l = 0; l < 32; l++) {
    if (!(w.mask >> l & 1)) continue;
    bool k = cin >> l & 1;
    d[l] = F{}(a[l], b[l], c[l], k);
    co |= u32(k) << l;
  }
  u32* p = w.pred_dst(i.op[1]);
  *p = (*p & ~w.mask) | co;
}
// Forms without .cc still get the flag as a (dead) destination register, to share the code.
template <class T>
void carries(const std::string& t) {
  constexpr bool wide = sizeof(T) == 8;
  auto addf = [](T a, T b, bool& c) {
    u128 r = u128(a) + b + c;
    c = (r >> (sizeof(T) * 8)) & 1;
    return T(r);
  };
  // Subtraction adds the complement: the flag is set when there is no borrow, which programs that mix
  // subc and addc rely on.
  auto subf = [](T a, T b, bool& c) {
    u128 r = u128(a) + T(~b) + c;
    c = (r >> (sizeof(T) * 8)) & 1;
    return T(r);
  };
  using A = decltype(addf);
  using S = decltype(subf);
  add("addcc." + t, hcarry3<T, A, false>, hcarry3<T, A, false>, 2, wide ? "dcdd" : "wcww");
  add("addc." + t, hcarry3<T, A, false>, hcarry3<T, A, false>, 2, wide ? "dcddc" : "wcwwc");
  add("subcc." + t, hcarry3<T, S, true>, hcarry3<T, S, true>, 2, wide ? "dcdd" : "wcww");
  add("subc." + t, hcarry3<T, S, true>, hcarry3<T, S, true>, 2, wide ? "dcddc" : "wcwwc");
  auto lo = [](T a, T b, T c, bool& k) {
    u128 r = u128(T(u128(a) * b)) + c + k;
    k = (r >> (sizeof(T) * 8)) & 1;
    return T(r);
  };
  auto hi = [](T a, T b, T c, bool& k) {
    u128 r = u128(T((u128(a) * b) >> (sizeof(T) * 8))) + c + k;
    k = (r >> (sizeof(T) * 8)) & 1;
    return T(r);
  };
  using L = decltype(lo);
  using H = decltype(hi);
  for (auto [n, c] : {std::pair<const char*, bool>{"madcc", false}, {"madc", true}}) {
    const char* s = wide ? (c ? "dcdddc" : "dcddd") : (c ? "wcwwwc" : "wcwww");
    add(std::string(n) + ".lo." + t, hmadc<T, L>, hmadc<T, L>, 2, s);
    add(std::string(n) + ".hi." + t, hmadc<T, H>, hmadc<T, H>, 2, s);
  }
}

// The integer type of the same sign and twice the width.
template <class U16, class U32, class U64, class T>
using SizedBy = std::conditional_t<sizeof(T) == 2, U16, std::conditional_t<sizeof(T) == 4, U32, U64>>;
template <class T>
using Wide = std::conditional_t<std::is_signed_v<T>, SizedBy<s32, s64, s128, T>, SizedBy<u32, u64, u128, T>>;

template <class T>
void ints(const std::string& t) {
  using U = std::make_unsigned_t<T>;
  using S = std::make_signed_t<T>;
  using W = Wide<T>;
  constexpr int N = sizeof(T) * 8;
  op2<T, T, T>("add." + t, [](T a, T b) { return T(U(a) + U(b)); });
  op2<T, T, T>("sub." + t, [](T a, T b) { return T(U(a) - U(b)); });
  op2<T, T, T>("mul.lo." + t, [](T a, T b) { return T(U(u64(a) * u64(b))); });
  op2<T, T, T>("mul.hi." + t, [](T a, T b) { return T((W(a) * W(b)) >> N); });
  op3<T, T, T, T>("mad.lo." + t, [](T a, T b, T c) { return T(U(u64(a) * u64(b) + u64(c))); });
  op3<T, T, T, T>("mad.hi." + t, [](T a, T b, T c) { return T(U(T((W(a) * W(b)) >> N)) + U(c)); });
  if constexpr (sizeof(T) < 8) {
    op2<W, T, T>("mul.wide." + t, [](T a, T b) { return W(a) * W(b); });
    op3<W, T, T, W>("mad.wide." + t, [](T a, T b, W c) {
      using X = std::make_unsigned_t<W>;
      return W(X(W(a) * W(b)) + X(c));
    });
  }
  op2<T, T, T>("div." + t, [](T a, T b) -> T {
    if (b == 0) return T(~U(0));
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return T(U(0) - U(a));
    return T(a / b);
  });
  op2<T, T, T>("rem." + t, [](T a, T b) -> T {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return 0;
    return T(a % b);
  });
  op2<T, T, T>("min." + t, [](T a, T b) { return a < b ? a : b; });
  op2<T, T, T>("max." + t, [](T a, T b) { return a > b ? a : b; });
  op3<T, T, T, U>("sad." + t, [](T a, T b, U c) { return T(U(a > b ? U(a) - U(b) : U(b) - U(a)) + c); });
  op2<T, T, u32>("shr." + t, [](T a, u32 n) -> T {
    if constexpr (std::is_signed_v<T>)
      return T(a >> (n >= u32(N) ? u32(N - 1) : n));
    else
      return n >= u32(N) ? T(0) : T(a >> n);
  });
  op1<T, T>("neg." + t, [](T a) { return T(U(0) - U(a)); });
  op1<T, T>("abs." + t, [](T a) { return S(a) < 0 ? T(U(0) - U(a)) : a; });
}

template <class T>
void bits(const std::string& t) {  // T unsigned
  constexpr u32 N = sizeof(T) * 8;
  op2<T, T, T>("and." + t, [](T a, T b) { return T(a & b); });
  op2<T, T, T>("or." + t, [](T a, T b) { return T(a | b); });
  op2<T, T, T>("xor." + t, [](T a, T b) { return T(a ^ b); });
  op1<T, T>("not." + t, [](T a) { return T(~a); });
  op1<T, T>("cnot." + t, [](T a) { return T(a == 0); });
  op2<T, T, u32>("shl." + t, [](T a, u32 n) { return n >= N ? T(0) : T(a << n); });
  op2<T, T, u32>("shr." + t, [](T a, u32 n) { return n >= N ? T(0) : T(a >> n); });
  if constexpr (sizeof(T) >= 4) {
    op1<u32, T>("popc." + t, [](T a) { return u32(std::popcount(a)); });
    op1<u32, T>("clz." + t, [](T a) { return u32(std::countl_zero(a)); });
    op1<T, T>("brev." + t, [](T a) {
      T r = 0;
      if constexpr (sizeof(T) == 4) {
        u32 x = __builtin_bswap32(a);
        x = ((x & 0x0f0f0f0fu) << 4) | ((x >> 4) & 0x0f0f0f0fu);
        x = ((x & 0x33333333u) << 2) | ((x >> 2) & 0x33333333u);
        r = ((x & 0x55555555u) << 1) | ((x >> 1) & 0x55555555u);
      } else {
        u64 x = __builtin_bswap64(a);
        x = ((x & 0x0f0f0f0f0f0f0f0full) << 4) | ((x >> 4) & 0x0f0f0f0f0f0f0f0full);
        x = ((x & 0x3333333333333333ull) << 2) | ((x >> 2) & 0x3333333333333333ull);
        r = ((x & 0x5555555555555555ull) << 1) | ((x >> 1) & 0x5555555555555555ull);
      }
      return r;
    });
    op4<T, T, T, u32, u32>("bfi." + t, [](T a, T b, u32 c, u32 d) -> T {
      u32 p = c & 255, n = d & 255;
      if (p >= N || n == 0) return b;
      if (n > N - p) n = N - p;
      T m = n >= N ? ~T(0) : T(((T(1) << n) - 1) << p);
      return T((b & ~m) | ((a << p) & m));
    });
  }
}

template <class T>
void bfe(const std::string& t) {
  using U = std::make_unsigned_t<T>;
  constexpr u32 N = sizeof(T) * 8;
  op3<T, T, u32, u32>("bfe." + t, [](T a, u32 b, u32 c) -> T {
    u32 p = b & 255, n = c & 255;
    if (n == 0) return 0;
    bool neg = false;
    if constexpr (std::is_signed_v<T>) {
      u32 e = p + n - 1;
      neg = U(a) >> (e > N - 1 ? N - 1 : e) & 1;
    }
    U v = p >= N ? 0 : U(a) >> p;
    u32 have = p >= N ? 0 : N - p;
    if (n < have) {
      v &= (U(1) << n) - 1;
      have = n;
    }
    if (neg && have < N) v |= ~U(0) << have;
    if constexpr (!std::is_signed_v<T>) (void)neg;
    return T(v);
  });
  op1<u32, T>("bfind." + t, [](T a) -> u32 {
    U v = U(a);
    if constexpr (std::is_signed_v<T>)
      if (a < 0) v = ~v;
    return v ? N - 1 - u32(std::countl_zero(v)) : ~0u;
  });
  op1<u32, T>("bfind.shiftamt." + t, [](T a) -> u32 {
    U v = U(a);
    if constexpr (std::is_signed_v<T>)
      if (a < 0) v = ~v;
    return v ? u32(std::countl_zero(v)) : ~0u;
  });
}

inline u32 permute(u32 a, u32 b, u32 sel, int mode) {
  u64 x = u64(a) | (u64(b) << 32);
  auto byte = [&](u32 k) { return u32(x >> (8 * k)) & 255; };
  u32 r = 0;
  u32 c = sel & 3;
  for (u32 i = 0; i < 4; i++) {
    u32 v;
    switch (mode) {
      case 0: {
        u32 n = (sel >> (4 * i)) & 15;
        v = byte(n & 7);
        if (n & 8) v = (v & 128) ? 255 : 0;
        break;
      }
      case 1:
        v = byte((c + i) & 7);
        break;  // f4e
      case 2:
        v = byte((c - i) & 7);
        break;  // b4e
      case 3:
        v = byte(c);
        break;  // rc8
      case 4:
        v = byte(i < c ? c : i);
        break;  // ecl
      case 5:
        v = byte(i < c ? i : c);
        break;  // ecr
      default:
        v = byte((c & 1) * 2 + (i & 1));
        break;  // rc16
    }
    r |= v << (8 * i);
  }
  return r;
}

// ---- conversions

template <class D, class S>
void cvt_int(const char* d, const char* s) {
  using R = std::conditional_t<sizeof(D) == 8, u64, u32>;
  using A = std::conditional_t<sizeof(S) == 8, u64, u32>;
  using Wd = std::conditional_t<sizeof(D) == 8, s64, s32>;
  op1<R, A>(std::string("cvt.") + d + "." + s, [](A a) { return R(Wd(D(S(a)))); });
  op1<R, A>(std::string("cvt.sat.") + d + "." + s, [](A a) {
    s128 v = S(a), lo = s128(std::is_signed_v<D> ? -(s128(1) << (sizeof(D) * 8 - 1)) : s128(0));
    s128 hi = (s128(1) << (sizeof(D) * 8 - (std::is_signed_v<D> ? 1 : 0))) - 1;
    if (v < lo) v = lo;
    if (v > hi) v = hi;
    return R(Wd(D(v)));
  });
}
template <class D>
void cvt_int_from(const char* d) {
  cvt_int<D, u8>(d, "u8");
  cvt_int<D, s8>(d, "s8");
  cvt_int<D, u16>(d, "u16");
  cvt_int<D, s16>(d, "s16");
  cvt_int<D, u32>(d, "u32");
  cvt_int<D, s32>(d, "s32");
  cvt_int<D, u64>(d, "u64");
  cvt_int<D, s64>(d, "s64");
}
template <class I, class F>
I to_int(F f) {
  if (f != f) return sizeof(I) == 8 && !std::is_signed_v<I> ? I(1ull << 63) : sizeof(I) == 8 ? I(1ull << 63) : I(0);
  F lo = std::is_signed_v<I> ? -std::ldexp(F(1), sizeof(I) * 8 - 1) : F(0),
    hi = std::ldexp(F(1), sizeof(I) * 8 - (std::is_signed_v<I> ? 1 : 0));
  if (f <= lo) return std::is_signed_v<I> ? I(1ull << (sizeof(I) * 8 - 1)) : I(0);
  if (f >= hi) return std::is_signed_v<I> ? I((1ull << (sizeof(I) * 8 - 1)) - 1) : I(~0ull);
  return I(f);
}
template <class I, class F>
void cvt_float(const std::string& i, const std::string& f) {
  using R = std::conditional_t<sizeof(I) == 8, u64, u32>;
  op1<R, F>("cvt.rzi." + i + "." + f, [](F a) { return R(to_int<I, F>(std::trunc(a))); });
  op1<R, F>("cvt.rni." + i + "." + f, [](F a) { return R(to_int<I, F>(std::nearbyint(a))); });
  op1<R, F>("cvt.rmi." + i + "." + f, [](F a) { return R(to_int<I, F>(std::floor(a))); });
  op1<R, F>("cvt.rpi." + i + "." + f, [](F a) { return R(to_int<I, F>(std::ceil(a))); });
  auto to_f = [](R a) { return F(I(a)); };
  op1<F, R>("cvt." + f + "." + i, to_f);
  op1<F, R>("cvt.rz." + f + "." + i, [](R a) -> F {
    F r = F(I(a));
    using L = long double;
    if (std::fabs(L(r)) > std::fabs(L(I(a)))) r = std::nextafter(r, F(0));
    return r;
  });
}

template <class F>
void floats(const std::string& t) {
  op2<F, F, F>("add." + t, [](F a, F b) { return a + b; });
  op2<F, F, F>("sub." + t, [](F a, F b) { return a - b; });
  op2<F, F, F>("mul." + t, [](F a, F b) { return a * b; });
  op2<F, F, F>("div." + t, [](F a, F b) { return a / b; });
  op3<F, F, F, F>("fma." + t, [](F a, F b, F c) { return std::fma(a, b, c); });
  op3<F, F, F, F>("mad." + t, [](F a, F b, F c) { return std::fma(a, b, c); });
  op2<F, F, F>("min." + t, [](F a, F b) { return a != a ? b : b != b ? a : a < b ? a : b; });
  op2<F, F, F>("max." + t, [](F a, F b) { return a != a ? b : b != b ? a : a > b ? a : b; });
  op1<F, F>("neg." + t, [](F a) { return -a; });
  op1<F, F>("abs." + t, [](F a) { return std::fabs(a); });
  op1<F, F>("sqrt." + t, [](F a) { return std::sqrt(a); });
  op1<F, F>("rcp." + t, [](F a) { return F(1) / a; });
  op1<F, F>("rcp.ftz." + t, [](F a) { return F(1) / a; });
  op1<F, F>("rsqrt." + t, [](F a) { return F(1) / std::sqrt(a); });
  op1<F, F>("ex2." + t, [](F a) { return std::exp2(a); });
  op1<F, F>("lg2." + t, [](F a) { return std::log2(a); });
  op1<F, F>("sin." + t, [](F a) { return std::sin(a); });
  op1<F, F>("cos." + t, [](F a) { return std::cos(a); });
  op1<F, F>("tanh." + t, [](F a) { return std::tanh(a); });
  op2<F, F, F>("copysign." + t, [](F a, F b) { return std::copysign(b, a); });
  auto sat = [](F a) { return a != a ? F(0) : a < 0 ? F(0) : a > 1 ? F(1) : a; };
  op2<F, F, F>("add.sat." + t, [](F a, F b) {
    F x = a + b;
    return x != x ? F(0) : x < 0 ? F(0) : x > 1 ? F(1) : x;
  });
  op3<F, F, F, F>("fma.sat." + t, [](F a, F b, F c) {
    F x = std::fma(a, b, c);
    return x != x ? F(0) : x < 0 ? F(0) : x > 1 ? F(1) : x;
  });
  op1<F, F>("cvt.sat." + t + "." + t, sat);
  op1<F, F>("cvt.rni." + t + "." + t, [](F a) { return std::nearbyint(a); });
  op1<F, F>("cvt.rzi." + t + "." + t, [](F a) { return std::trunc(a); });
  op1<F, F>("cvt.rmi." + t + "." + t, [](F a) { return std::floor(a); });
  op1<F, F>("cvt.rpi." + t + "." + t, [](F a) { return std::ceil(a); });
  cvt_float<u32, F>("u32", t);
  cvt_float<s32, F>("s32", t);
  cvt_float<u64, F>("u64", t);
  cvt_float<s64, F>("s64", t);
  cvt_float<u16, F>("u16", t);
  cvt_float<s16, F>("s16", t);
  cvt_float<u8, F>("u8", t);
  cvt_float<s8, F>("s8", t);
}

template <class F, int What>
void htest(Warp& w, const Inst& i) {
  auto* a = w.in<Slot<F>>(i.op[1]);
  u32 m = 0;
  for (int l = 0; l < 32; l++) {
    F v = get<F>(a[l]);
    int c = std::fpclassify(v);
    bool r = What == 0   ? std::isfinite(v)
             : What == 1 ? c == FP_INFINITE
             : What == 2 ? c != FP_NAN
             : What == 3 ? c == FP_NAN
             : What == 4 ? (c == FP_NORMAL || c == FP_ZERO)
                         : c == FP_SUBNORMAL;
    m |= u32(r) << l;
  }
  u32* d = w.pred_dst(i.op[0]);
  *d = (*d & ~w.mask) | (m & w.mask);
}

void hspace(Warp& w, const Inst& i) {
  auto* a = w.in<u64>(i.op[1]);
  u32 m = 0;
  for (int l = 0; l < 32; l++) {
    u64 win = a[l] & k_win_mask;
    m |= u32(i.imm == -1 ? false : win == u64(i.imm)) << l;
  }
  u32* d = w.pred_dst(i.op[0]);
  *d = (*d & ~w.mask) | (m & w.mask);
}

void hlop3(Warp& w, const Inst& i) {
  auto* d = w.out<u32>(i.op[0]);
  auto *a = w.in<u32>(i.op[1]), *b = w.in<u32>(i.op[2]), *c = w.in<u32>(i.op[3]);
  u32 t[8];
  for (int k = 0; k < 8; k++) t[k] = (i.imm >> k & 1) ? ~0u : 0;
#pragma GCC ivdep
  for (int l = 0; l < 32; l++) {
    u32 x = a[l], y = b[l], z = c[l];
    u32 r = (~x & ~y & ~z & t[0]) | (~x & ~y & z & t[1]) | (~x & y & ~z & t[2]) | (~x & y & z & t[3]) |
            (x & ~y & ~z & t[4]) | (x & ~y & z & t[5]) | (x & y & ~z & t[6]) | (x & y & z & t[7]);
    u32 k = u32(w.lm[l]);
    d[l] = (d[l] & ~k) | (r & k);
  }
}

template <class A, class B>
void dp4(const std::string& n) {
  using R = std::conditional_t<std::is_signed_v<A> || std::is_signed_v<B>, s32, u32>;
  op3<R, u32, u32, R>(n, [](u32 a, u32 b, R c) {
    u32 r = u32(c);
    for (int k = 0; k < 4; k++) r += u32(s32(A(a >> (8 * k))) * s32(B(b >> (8 * k))));
    return R(r);
  });
}

void build() {
  ints<u16>("u16");
  ints<s16>("s16");
  ints<u32>("u32");
  ints<s32>("s32");
  ints<u64>("u64");
  ints<s64>("s64");
  bits<u16>("b16");
  bits<u32>("b32");
  bits<u64>("b64");
  bfe<u32>("u32");
  bfe<s32>("s32");
  bfe<u64>("u64");
  bfe<s64>("s64");
  carries<u32>("u32");
  carries<u32>("s32");
  carries<u64>("u64");
  carries<u64>("s64");
  carries<u32>("b32");
  carries<u64>("b64");
  op2<s32, s32, s32>("add.sat.s32", [](s32 a, s32 b) {
    s64 r = s64(a) + b;
    return s32(r > INT32_MAX ? INT32_MAX : r < INT32_MIN ? INT32_MIN : r);
  });
  op2<s32, s32, s32>("sub.sat.s32", [](s32 a, s32 b) {
    s64 r = s64(a) - b;
    return s32(r > INT32_MAX ? INT32_MAX : r < INT32_MIN ? INT32_MIN : r);
  });
  op2<u32, u32, u32>("mul24.lo.u32", [](u32 a, u32 b) { return (a & 0xffffff) * (b & 0xffffff); });
  op2<s32, s32, s32>("mul24.lo.s32",
                     [](s32 a, s32 b) { return s32(u32(s32(u32(a) << 8) >> 8) * u32(s32(u32(b) << 8) >> 8)); });
  cmps<u16>("u16");
  cmps<s16>("s16");
  cmps<u32>("u32");
  cmps<s32>("s32");
  cmps<u64>("u64");
  cmps<s64>("s64");
  cmps<f32>("f32");
  cmps<f64>("f64");
  p1("not.p", [](u32 a) { return ~a; });
  p1("not.pred", [](u32 a) { return ~a; });
  p1("mov.p", [](u32 a) { return a; });
  p2("and.pred", [](u32 a, u32 b) { return a & b; });
  p2("or.pred", [](u32 a, u32 b) { return a | b; });
  p2("xor.pred", [](u32 a, u32 b) { return a ^ b; });
  op1<u32, u32>("mov.w", [](u32 a) { return a; });
  op1<u16, u16>("mov.h", [](u16 a) { return a; });
  op1<u64, u64>("mov.d", [](u64 a) { return a; });
  add("selp.w", hselp<u32>, hselp<u32>, 1, "wwwp");
  add("selp.h", hselp<u16>, hselp<u16>, 1, "wwwp");
  add("selp.d", hselp<u64>, hselp<u64>, 1, "dddp");
  add("pack2w", hpack<2, u32>, hpack<2, u32>, 1, "www");
  add("pack4w", hpack<4, u32>, hpack<4, u32>, 1, "wwwww");
  add("pack2d", hpack<2, u64>, hpack<2, u64>, 1, "dww");
  add("pack4d", hpack<4, u64>, hpack<4, u64>, 1, "dwwww");
  add("unpack2w", hunpack<2, u32>, hunpack<2, u32>, 2, "www");
  add("unpack4w", hunpack<4, u32>, hunpack<4, u32>, 4, "wwwww");
  add("unpack2d", hunpack<2, u64>, hunpack<2, u64>, 2, "wwd");
  add("unpack4d", hunpack<4, u64>, hunpack<4, u64>, 4, "wwwwd");
  op3<u32, u32, u32, u32>("shf.l.wrap.b32",
                          [](u32 a, u32 b, u32 c) { return u32((((u64(b) << 32) | a) << (c & 31)) >> 32); });
  op3<u32, u32, u32, u32>("shf.l.clamp.b32",
                          [](u32 a, u32 b, u32 c) { return u32((((u64(b) << 32) | a) << (c > 32 ? 32 : c)) >> 32); });
  op3<u32, u32, u32, u32>("shf.r.wrap.b32", [](u32 a, u32 b, u32 c) { return u32(((u64(b) << 32) | a) >> (c & 31)); });
  op3<u32, u32, u32, u32>("shf.r.clamp.b32",
                          [](u32 a, u32 b, u32 c) { return u32(((u64(b) << 32) | a) >> (c > 32 ? 32 : c)); });
  op2<u32, u32, u32>("bmsk.clamp.b32",
                     [](u32 a, u32 b) { return a > 31 ? 0u : u32((b > 31 ? ~0u : (1u << b) - 1) << a); });
  op2<u32, u32, u32>("bmsk.wrap.b32", [](u32 a, u32 b) {
    a &= 31;
    b &= 31;
    return ((1u << b) - 1) << a;
  });
  op2<s32, s32, u32>("szext.clamp.s32", [](s32 a, u32 b) {
    return b > 31 ? a : b == 0 ? 0 : s32(u32(a) << (32 - b)) >> (32 - b);
  });
  op2<s32, s32, u32>("szext.wrap.s32", [](s32 a, u32 b) {
    b &= 31;
    return b == 0 ? 0 : s32(u32(a) << (32 - b)) >> (32 - b);
  });
  op2<u32, u32, u32>("szext.clamp.u32", [](u32 a, u32 b) { return b > 31 ? a : a & ((1u << b) - 1); });
  op2<u32, u32, u32>("szext.wrap.u32", [](u32 a, u32 b) { return a & ((1u << (b & 31)) - 1); });
  op3<u32, u32, u32, u32>("prmt.b32", [](u32 a, u32 b, u32 c) { return permute(a, b, c, 0); });
  op3<u32, u32, u32, u32>("prmt.b32.f4e", [](u32 a, u32 b, u32 c) { return permute(a, b, c, 1); });
  op3<u32, u32, u32, u32>("prmt.b32.b4e", [](u32 a, u32 b, u32 c) { return permute(a, b, c, 2); });
  op3<u32, u32, u32, u32>("prmt.b32.rc8", [](u32 a, u32 b, u32 c) { return permute(a, b, c, 3); });
  op3<u32, u32, u32, u32>("prmt.b32.ecl", [](u32 a, u32 b, u32 c) { return permute(a, b, c, 4); });
  op3<u32, u32, u32, u32>("prmt.b32.ecr", [](u32 a, u32 b, u32 c) { return permute(a, b, c, 5); });
  op3<u32, u32, u32, u32>("prmt.b32.rc16", [](u32 a, u32 b, u32 c) { return permute(a, b, c, 6); });
  add("lop3", hlop3, hlop3, 1, "wwww");
  dp4<u8, u8>("dp4a.u32.u32");
  dp4<s8, s8>("dp4a.s32.s32");
  dp4<s8, u8>("dp4a.s32.u32");
  dp4<u8, s8>("dp4a.u32.s32");
  cvt_int_from<u8>("u8");
  cvt_int_from<s8>("s8");
  cvt_int_from<u16>("u16");
  cvt_int_from<s16>("s16");
  cvt_int_from<u32>("u32");
  cvt_int_from<s32>("s32");
  cvt_int_from<u64>("u64");
  cvt_int_from<s64>("s64");
  floats<f32>("f32");
  floats<f64>("f64");
  op1<f64, f32>("cvt.f64.f32", [](f32 a) { return f64(a); });
  op1<f32, f64>("cvt.f32.f64", [](f64 a) { return f32(a); });
  op1<f32, f64>("cvt.rz.f32.f64", [](f64 a) {
    f32 r = f32(a);
    return std::fabs(f64(r)) > std::fabs(a) ? std::nextafter(r, 0.0f) : r;
  });
  op1<f32, f32>("cvt.f32.f32", [](f32 a) { return a; });
  op1<f64, f64>("cvt.f64.f64", [](f64 a) { return a; });
  add("testp.finite.f32", htest<f32, 0>, htest<f32, 0>, 1, "pw");
  add("testp.infinite.f32", htest<f32, 1>, htest<f32, 1>, 1, "pw");
  add("testp.number.f32", htest<f32, 2>, htest<f32, 2>, 1, "pw");
  add("testp.notanumber.f32", htest<f32, 3>, htest<f32, 3>, 1, "pw");
  add("testp.finite.f64", htest<f64, 0>, htest<f64, 0>, 1, "pd");
  add("testp.infinite.f64", htest<f64, 1>, htest<f64, 1>, 1, "pd");
  add("testp.number.f64", htest<f64, 2>, htest<f64, 2>, 1, "pd");
  add("testp.notanumber.f64", htest<f64, 3>, htest<f64, 3>, 1, "pd");
  add("isspacep", hspace, hspace, 1, "pd");
}

}  // namespace

const AluEntry* find_alu(const std::string& key) {
  static const bool once = (build(), true);
  (void)once;
  auto it = table().find(key);
  return it == table().end() ? nullptr : &it->second;
}

}  // namespace ptxrun
