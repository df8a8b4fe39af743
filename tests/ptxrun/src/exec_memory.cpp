// Loads, stores, atomic operations and asynchronous copies.
#include <emmintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "exec_runner.h"

namespace ptxrun {

namespace {

template <class M, class R>
void gather(Warp& w, const Inst& I, uint8_t* const* P) {
  using Wd = std::conditional_t<std::is_signed_v<M>, std::make_signed_t<R>, R>;
  for (uint32_t e = 0; e < I.vec; e++) {
    R* d = w.out<R>(I.op[e]);
    R t[32];
    for (int l = 0; l < 32; l++) {
      M v;
      memcpy(&v, P[l] + e * sizeof(M), sizeof(M));
      t[l] = R(Wd(v));
    }
    if (w.mask == k_all)
      memcpy(d, t, sizeof t);
    else
      for (int l = 0; l < 32; l++) {
        R k = R(int64_t(w.lm[l]));
        d[l] = (d[l] & ~k) | (t[l] & k);
      }
  }
}

template <class M, class R>
void scatter(Warp& w, const Inst& I, uint8_t* const* P) {
  for (uint32_t e = 0; e < I.vec; e++) {
    const R* s = w.in<R>(I.op[1 + e]);
    if (w.mask == k_all)
      for (int l = 0; l < 32; l++) {
        M v = M(s[l]);
        memcpy(P[l] + e * sizeof(M), &v, sizeof(M));
      }
    else
      for (int l = 0; l < 32; l++)
        if (w.mask >> l & 1) {
          M v = M(s[l]);
          memcpy(P[l] + e * sizeof(M), &v, sizeof(M));
        }
  }
}

template <class T>
T rmw(T* p, const Inst& I, T v, T c) {
  switch (I.sub) {
    case AAdd:
      if constexpr (std::is_integral_v<T>) return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
      break;
    case AAnd:
      if constexpr (std::is_integral_v<T>) return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
      break;
    case AOr:
      if constexpr (std::is_integral_v<T>) return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
      break;
    case AXor:
      if constexpr (std::is_integral_v<T>) return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);
      break;
    case AExch:
      if constexpr (std::is_integral_v<T>) return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
      break;
    case ACas:
      if constexpr (std::is_integral_v<T>) {
        T e = v;
        __atomic_compare_exchange_n(p, &e, c, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return e;
      }
      break;
    default:
      break;
  }
  using Raw = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
  auto* q = reinterpret_cast<Raw*>(p);
  Raw old = __atomic_load_n(q, __ATOMIC_SEQ_CST);
  while (true) {
    T o, n;
    memcpy(&o, &old, sizeof o);
    switch (I.sub) {
      case AAdd:
        n = T(o + v);
        break;
      case AMin:
        n = o < v ? o : v;
        break;
      case AMax:
        n = o > v ? o : v;
        break;
      case AInc:
        n = o >= v ? T(0) : T(o + 1);
        break;
      case ADec:
        n = (o == T(0) || o > v) ? v : T(o - 1);
        break;
      default:
        n = v;
        break;
    }
    Raw r;
    memcpy(&r, &n, sizeof r);
    if (__atomic_compare_exchange_n(q, &old, r, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return o;
  }
}

template <class T>
uint64_t rmw_bits(uint8_t* p, const Inst& I, uint64_t v, uint64_t c) {
  T a, b;
  memcpy(&a, &v, sizeof a);
  memcpy(&b, &c, sizeof b);
  T o = rmw<T>(reinterpret_cast<T*>(p), I, a, b);
  uint64_t r = 0;
  memcpy(&r, &o, sizeof o);
  return r;
}

}  // namespace

void Runner::load(Block& b, Warp& w, const Inst& I) {
  uint64_t A[32];
  uint8_t* P[32];
  if (I.space == Space::Param && !I.base) {  // a kernel parameter: the same for all lanes
    const uint8_t* p = d_.params.data() + I.imm;
    if (uint64_t(I.imm) + uint64_t(I.width) * I.vec > d_.params.size())
      fault(w, 0, k_err_invalid_ptr, "parameter out of bounds");
    for (int l = 0; l < 32; l++) P[l] = const_cast<uint8_t*>(p);
  } else {
    addresses(w, I, I.base ? I.op[I.ndef] : 0, A);
    lastAddr_ = A[std::countr_zero(w.mask)];
    resolve(b, w, I, A, uint32_t(I.width) * I.vec, Read, P);
  }
  alignas(16) uint8_t whole[32][16];
  if (multi_ && (I.flags & FVolatile) && I.vec > 1 && I.width * I.vec <= 16) {  // one indivisible access
    for (int l = 0; l < 32; l++) {
      if (I.width * I.vec == 16)
        _mm_store_si128(reinterpret_cast<__m128i*>(whole[l]), _mm_load_si128(reinterpret_cast<const __m128i*>(P[l])));
      else {
        uint64_t v = I.width * I.vec == 8 ? __atomic_load_n(reinterpret_cast<uint64_t*>(P[l]), __ATOMIC_ACQUIRE)
                                          : __atomic_load_n(reinterpret_cast<uint32_t*>(P[l]), __ATOMIC_ACQUIRE);
        memcpy(whole[l], &v, 8);
      }
      P[l] = whole[l];
    }
  }
  bool s = I.flags & FSigned, d = I.regw == 8;
  switch (I.width) {
    case 1:
      s ? (d ? gather<int8_t, uint64_t>(w, I, P) : gather<int8_t, uint32_t>(w, I, P))
        : (d ? gather<uint8_t, uint64_t>(w, I, P) : gather<uint8_t, uint32_t>(w, I, P));
      break;
    case 2:
      s ? (d ? gather<int16_t, uint64_t>(w, I, P) : gather<int16_t, uint32_t>(w, I, P))
        : (d ? gather<uint16_t, uint64_t>(w, I, P) : gather<uint16_t, uint32_t>(w, I, P));
      break;
    case 4:
      d ? (s ? gather<int32_t, uint64_t>(w, I, P) : gather<uint32_t, uint64_t>(w, I, P))
        : gather<uint32_t, uint32_t>(w, I, P);
      break;
    default:
      gather<uint64_t, uint64_t>(w, I, P);
      break;
  }
}

void Runner::store(Block& b, Warp& w, const Inst& I) {
  uint64_t A[32];
  uint8_t* P[32];
  addresses(w, I, I.base ? I.op[0] : 0, A);
  resolve(b, w, I, A, uint32_t(I.width) * I.vec, Write, P);
  bool d = I.regw == 8;
  if (multi_ && (I.flags & FVolatile) && I.vec > 1 &&
      (I.width * I.vec == 16 || I.width * I.vec == 8)) {  // one indivisible access
    for (int l = 0; l < 32; l++) {
      if (!(w.mask >> l & 1)) continue;
      alignas(16) uint8_t t[16] = {};
      for (uint32_t e = 0; e < I.vec; e++) {
        uint64_t v = d ? w.in<uint64_t>(I.op[1 + e])[l] : w.in<uint32_t>(I.op[1 + e])[l];
        memcpy(t + e * I.width, &v, I.width);
      }
      uint64_t q;
      memcpy(&q, t, 8);
      if (I.width * I.vec == 16)
        _mm_store_si128(reinterpret_cast<__m128i*>(P[l]), _mm_load_si128(reinterpret_cast<__m128i*>(t)));
      else
        __atomic_store_n(reinterpret_cast<uint64_t*>(P[l]), q, __ATOMIC_RELEASE);
    }
    return;
  }
  switch (I.width) {
    case 1:
      d ? scatter<uint8_t, uint64_t>(w, I, P) : scatter<uint8_t, uint32_t>(w, I, P);
      break;
    case 2:
      d ? scatter<uint16_t, uint64_t>(w, I, P) : scatter<uint16_t, uint32_t>(w, I, P);
      break;
    case 4:
      d ? scatter<uint32_t, uint64_t>(w, I, P) : scatter<uint32_t, uint32_t>(w, I, P);
      break;
    default:
      scatter<uint64_t, uint64_t>(w, I, P);
      break;
  }
}

void Runner::atomic(Block& b, Warp& w, const Inst& I) {
  uint64_t A[32];
  uint8_t* P[32];
  addresses(w, I, I.base ? I.op[1] : 0, A);
  lastAddr_ = A[std::countr_zero(w.mask)];
  resolve(b, w, I, A, I.width, Rmw, P);
  bool wide = I.regw == 8, cas = I.sub == ACas;
  uint32_t first = shuffle_ ? rng_.below(32) : 0;
  for (uint32_t k = 0; k < 32; k++) {
    uint32_t l = (first + k) & 31;
    if (!(w.mask >> l & 1)) continue;
    uint64_t v = wide ? w.in<uint64_t>(I.op[2])[l] : w.in<uint32_t>(I.op[2])[l], c = 0, o;
    if (cas) c = wide ? w.in<uint64_t>(I.op[3])[l] : w.in<uint32_t>(I.op[3])[l];
    switch (I.type) {
      case TU16:
      case TB16:
      case TS16:
        o = rmw_bits<uint16_t>(P[l], I, v, c);
        break;
      case TS32:
        o = rmw_bits<int32_t>(P[l], I, v, c);
        break;
      case TF32:
        o = rmw_bits<float>(P[l], I, v, c);
        break;
      case TU64:
      case TB64:
        o = rmw_bits<uint64_t>(P[l], I, v, c);
        break;
      case TS64:
        o = rmw_bits<int64_t>(P[l], I, v, c);
        break;
      case TF64:
        o = rmw_bits<double>(P[l], I, v, c);
        break;
      default:
        o = rmw_bits<uint32_t>(P[l], I, v, c);
        break;
    }
    if (wide)
      w.out<uint64_t>(I.op[0])[l] = o;
    else
      w.out<uint32_t>(I.op[0])[l] = uint32_t(o);
  }
}

void Runner::async_copy(Block& b, Warp& w, const Inst& I) {
  uint64_t D[32], S[32];
  uint8_t *PD[32], *PS[32];
  memcpy(D, w.in<uint64_t>(I.op[0]), sizeof D);
  memcpy(S, w.in<uint64_t>(I.op[1]), sizeof S);
  const uint32_t* n = w.in<uint32_t>(I.op[2]);
  uint32_t f = uint32_t(std::countr_zero(w.mask));
  for (int l = 0; l < 32; l++)
    if (!(w.mask >> l & 1)) {
      D[l] = D[f];
      S[l] = S[f];
    }
  uint32_t some = 0;
  for (int l = 0; l < 32; l++)
    if ((w.mask >> l & 1) && n[l]) some |= 1u << l;
  if (some) {
    uint32_t g = uint32_t(std::countr_zero(some));
    for (int l = 0; l < 32; l++)
      if (!(some >> l & 1)) S[l] = S[g];
    global(w, S, some, n[g], Read, PS, I.width);
  }
  shared(b, w, D, w.mask, I.width, Write, PD, I.width, false);
  for (int l = 0; l < 32; l++)
    if (w.mask >> l & 1) {
      uint32_t k = std::min<uint32_t>(n[l], I.width);
      if (k) memcpy(PD[l], PS[l], k);
      memset(PD[l] + k, 0, I.width - k);
    }
}

}  // namespace ptxrun
