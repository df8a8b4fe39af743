// Addresses of an access in each state space: bounds, alignment, ownership, and where the bytes lie in the host.
#include <algorithm>
#include <bit>

#include "exec_runner.h"

namespace ptxrun {

void Runner::addresses(Warp& w, const Inst& I, uint32_t op, uint64_t* A) {
  if (I.base == 8) {
    const uint64_t* r = w.in<uint64_t>(op);
    for (int l = 0; l < 32; l++) A[l] = r[l] + uint64_t(I.imm);
  } else if (I.base == 4) {
    const uint32_t* r = w.in<uint32_t>(op);
    for (int l = 0; l < 32; l++) A[l] = uint32_t(r[l] + uint32_t(I.imm));
  } else {
    for (int l = 0; l < 32; l++) A[l] = uint64_t(I.imm);
  }
  if (w.mask != k_all) {  // lanes that take no part copy the address of one that does
    uint64_t f = A[std::countr_zero(w.mask)];
    for (int l = 0; l < 32; l++) {
      uint64_t k = uint64_t(int64_t(w.lm[l]));
      A[l] = (A[l] & k) | (f & ~k);
    }
  }
}

void Runner::global(Warp& w, uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P, uint32_t align) {
  uint64_t lo = ~0ull, hi = 0, low = 0;
  for (int l = 0; l < 32; l++) {
    lo = std::min(lo, A[l]);
    hi = std::max(hi, A[l]);
    low |= A[l];
  }
  if (__builtin_expect(low & (align - 1), 0))
    for (uint32_t l = 0; l < 32; l++)
      if ((mask >> l & 1) && (A[l] & (align - 1)))
        fault(w, l, k_err_misaligned,
              strf("misaligned global %s of %u bytes at 0x%llx", verb(what), align, (unsigned long long)A[l]));
  Range& r = cache_[w.pc & 255];
  if (__builtin_expect(lo >= r.lo && hi + size <= r.hi && !(r.readonly && what != Read), 1)) {
    for (int l = 0; l < 32; l++) P[l] = reinterpret_cast<uint8_t*>(A[l] + uint64_t(r.delta));
    if (stats_) count_sectors(A, mask, size, what, r.host);
  } else {
    bool host = false;
    for (uint32_t l = 0; l < 32; l++) {
      if (!(mask >> l & 1)) continue;
      const Alloc* a = mem::find(A[l]);
      if (!a || A[l] + size > a->base + a->size) bad_global(w, l, A[l], size, what);
      if (a->device != d_.device && a->kind == MemKind::Device && !peer_enabled(d_.device, a->device))
        fault(w, l, k_err_invalid_ptr,
              strf("global %s of memory of device %d by a kernel on device %d without cudaDeviceEnablePeerAccess",
                   verb(what), a->device, d_.device));
      if (a->kind == MemKind::Constant && what != Read)
        fault(w, l, k_err_invalid_ptr, strf("%s of constant variable %s", verb(what), a->what.c_str()));
      P[l] = reinterpret_cast<uint8_t*>(A[l] + uint64_t(a->delta));
      r = {a->base, a->base + a->size, a->delta, a->kind == MemKind::Constant,
           a->kind == MemKind::Pinned || a->kind == MemKind::Registered || a->kind == MemKind::Managed};
      host = r.host;
    }
    uint8_t* f = P[std::countr_zero(mask)];
    for (int l = 0; l < 32; l++)
      if (!(mask >> l & 1)) P[l] = f;
    if (stats_) count_sectors(A, mask, size, what, host);
  }
  if (init_) initcheck(w, A, mask, size, what);
}

void Runner::bad_global(Warp& w, uint32_t l, uint64_t a, uint32_t size, What what) {
  std::string near = mem::describe_near(a, size);
  const char* k = near.find("freed") != near.npos           ? "use after free: "
                  : near.find("ordinary host") != near.npos ? "invalid host pointer: "
                                                            : "out of bounds: ";
  fault(w, l, k_err_invalid_ptr,
        strf("%sglobal %s of %u bytes at 0x%llx; %s", k, verb(what), size, (unsigned long long)a, near.c_str()));
}

uint8_t* Runner::shared_ptr(Block& b, uint64_t a, uint32_t size) {
  if (a >= k_shared_dynamic)
    return a + size <= uint64_t(k_shared_dynamic) + d_.dyn_shared ? b.dyn.data() + (a - k_shared_dynamic) : nullptr;
  for (auto& r : c_.shared_ranges)
    if (a >= r.lo && a + size <= r.hi) return b.st.data() + a;
  return nullptr;
}

void Runner::shared(Block& b, Warp& w, uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P,
                    uint32_t align, bool vol) {
  uint64_t lo = ~0ull, hi = 0, low = 0;
  for (int l = 0; l < 32; l++) {
    lo = std::min(lo, A[l]);
    hi = std::max(hi, A[l]);
    low |= A[l];
  }
  if (low & (align - 1))
    for (uint32_t l = 0; l < 32; l++)
      if ((mask >> l & 1) && (A[l] & (align - 1)))
        fault(w, l, k_err_misaligned,
              strf("misaligned shared %s of %u bytes at 0x%llx", verb(what), align, (unsigned long long)A[l]));
  uint8_t* base = nullptr;
  if (lo >= k_shared_dynamic) {
    if (hi + size <= uint64_t(k_shared_dynamic) + d_.dyn_shared) base = b.dyn.data() - k_shared_dynamic;
  } else {
    for (auto& r : c_.shared_ranges)
      if (lo >= r.lo && hi + size <= r.hi) {
        base = b.st.data();
        break;
      }
  }
  if (base)
    for (int l = 0; l < 32; l++) P[l] = base + A[l];
  else {
    for (uint32_t l = 0; l < 32; l++) {
      P[l] = shared_ptr(b, A[l], size);
      if (!P[l] && (mask >> l & 1)) bad_shared(w, l, A[l], size, what);
    }
  }
  if (stats_) count_banks(A, mask, size, what);
  if (race_) racecheck(b, w, A, mask, size, what, vol);
}

void Runner::bad_shared(Warp& w, uint32_t l, uint64_t a, uint32_t size, What what) {
  std::string near;
  if (a >= k_shared_dynamic)
    near = strf("byte %llu of %u bytes of dynamic shared memory", (unsigned long long)(a - k_shared_dynamic),
                d_.dyn_shared);
  else {
    const SharedRange* best = nullptr;
    for (auto& r : c_.shared_ranges)
      if (a >= r.lo) best = &r;
    if (best)
      near = strf("byte %llu of variable %s of %u bytes", (unsigned long long)(a - best->lo),
                  demangle(best->name).c_str(), best->hi - best->lo);
    else
      near = "before the first variable";
  }
  fault(w, l, k_err_invalid_ptr,
        strf("out of bounds: shared %s of %u bytes at 0x%llx: %s", verb(what), size, (unsigned long long)a,
             near.c_str()));
}

void Runner::local_mem(Block& b, Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P,
                       uint32_t align) {
  uint8_t* base = b.local.data() + size_t(w.id) * 32 * c_.local_bytes;
  for (uint32_t l = 0; l < 32; l++) {
    if (mask >> l & 1) {
      if (A[l] + size > c_.local_bytes)
        fault(w, l, k_err_invalid_ptr,
              strf("out of bounds: local %s of %u bytes at 0x%llx; the frame has %u bytes", verb(what), size,
                   (unsigned long long)A[l], c_.local_bytes));
      if (A[l] & (align - 1))
        fault(w, l, k_err_misaligned,
              strf("misaligned local %s of %u bytes at 0x%llx", verb(what), align, (unsigned long long)A[l]));
    }
    P[l] = base + size_t(l) * c_.local_bytes + A[l];
  }
  if (mask != k_all) {
    uint8_t* f = P[std::countr_zero(mask)];
    for (int l = 0; l < 32; l++)
      if (!(mask >> l & 1)) P[l] = f;
  }
  counters.local_req++;
  counters.local_bytes += uint64_t(size) * uint64_t(std::popcount(mask));
}

void Runner::param_mem(Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P) {
  for (uint32_t l = 0; l < 32; l++) {
    if ((mask >> l & 1) && (A[l] + size > d_.params.size() || what != Read))
      fault(w, l, k_err_invalid_ptr,
            strf("out of bounds: parameter %s of %u bytes at offset %llu of %zu", verb(what), size,
                 (unsigned long long)A[l], d_.params.size()));
    P[l] = const_cast<uint8_t*>(d_.params.data()) + A[l];
  }
  if (mask != k_all) {
    uint8_t* f = P[std::countr_zero(mask)];
    for (int l = 0; l < 32; l++)
      if (!(mask >> l & 1)) P[l] = f;
  }
}

void Runner::resolve(Block& b, Warp& w, const Inst& I, uint64_t* A, uint32_t size, What what, uint8_t** P) {
  uint32_t mask = w.mask;
  bool vol = I.flags & FVolatile;
  switch (I.space) {
    case Space::Global:
    case Space::Const:
      global(w, A, mask, size, what, P, size);
      return;
    case Space::Shared:
      shared(b, w, A, mask, size, what, P, size, vol);
      return;
    case Space::Local:
      local_mem(b, w, A, mask, size, what, P, size);
      return;
    case Space::Param:
      param_mem(w, A, mask, size, what, P);
      return;
    case Space::Generic:
      break;
  }
  uint64_t any = 0;
  for (int l = 0; l < 32; l++) any |= A[l] & k_win_mask;
  if (!any) {
    global(w, A, mask, size, what, P, size);
    return;
  }
  uint32_t rest = mask;
  uint8_t* valid = nullptr;
  while (rest) {
    uint64_t win = A[std::countr_zero(rest)] & k_win_mask;
    uint32_t s = 0;
    for (int l = 0; l < 32; l++)
      if ((rest >> l & 1) && (A[l] & k_win_mask) == win) s |= 1u << l;
    uint64_t B[32];
    uint8_t* Q[32];
    uint64_t f = A[std::countr_zero(s)] - win;
    for (int l = 0; l < 32; l++) B[l] = (s >> l & 1) ? A[l] - win : f;
    if (win == k_shared_win)
      shared(b, w, B, s, size, what, Q, size, vol);
    else if (win == k_local_win)
      local_mem(b, w, B, s, size, what, Q, size);
    else if (win == k_param_win)
      param_mem(w, B, s, size, what, Q);
    else {
      for (auto& x : B) x += win;
      global(w, B, s, size, what, Q, size);
    }
    for (int l = 0; l < 32; l++)
      if (s >> l & 1) {
        P[l] = Q[l];
        valid = Q[l];
      }
    rest &= ~s;
  }
  for (int l = 0; l < 32; l++)
    if (!(mask >> l & 1)) P[l] = valid;
}

}  // namespace ptxrun
