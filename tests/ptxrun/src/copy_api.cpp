// Copies and fills, also of symbols.
#include <algorithm>
#include <cstring>

#include "runtime.h"

using namespace ptxrun;

static bool is_device(uint64_t p) {
  const Alloc* a = mem::find(p);
  if (a) return a->kind == MemKind::Device || a->kind == MemKind::Variable || a->kind == MemKind::Constant;
  return mem::in_arena(p);
}
static bool is_pageable(uint64_t p) { return !mem::find(p) && !mem::in_arena(p); }

static bool range_ok(uint64_t p, size_t w, size_t h, size_t pitch) {
  const Alloc* a = mem::find(p);
  if (!a) return !mem::in_arena(p) && p;
  uint64_t need = h ? (h - 1) * pitch + w : 0;
  return p + need <= a->base + a->size;
}

static cudaError_t copy(Stream* s, CopyDesc c, cudaMemcpyKind kind, bool blocking) {
  if (!s) return cudaErrorInvalidResourceHandle;
  if (c.width == 0 || c.height == 0 || c.depth == 0) return cudaSuccess;
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
  if (c.depth == 1 &&
      (!range_ok(c.dst, c.width, c.height, c.dpitch) || !range_ok(c.src, c.width, c.height, c.spitch))) {
    auto bad = !range_ok(c.dst, c.width, c.height, c.dpitch) ? c.dst : c.src;
    report(strf("error: copy of %zu x %zu bytes: bad %s 0x%llx; %s", c.width, c.height,
                bad == c.dst ? "destination" : "source", (unsigned long long)bad,
                mem::describe_near(bad + c.width - 1, 1).c_str()));
    return cudaErrorInvalidValue;
  }
  bool dd = is_device(c.dst), sd = is_device(c.src);
  if ((kind == cudaMemcpyHostToDevice && sd) || (kind == cudaMemcpyDeviceToHost && dd) ||
      (kind == cudaMemcpyHostToHost && (sd || dd)) || (kind == cudaMemcpyHostToDevice && !dd && is_pageable(c.dst)) ||
      (kind == cudaMemcpyDeviceToHost && !sd && is_pageable(c.src)) ||
      (kind == cudaMemcpyDeviceToDevice && (is_pageable(c.dst) || is_pageable(c.src))))
    return cudaErrorInvalidValue;
  if (s->capture && (blocking || s->capture->invalid)) {
    s->capture->invalid = true;
    return blocking ? cudaErrorStreamCaptureUnsupported : cudaErrorStreamCaptureInvalidated;
  }
  Work w;
  w.type = NodeType::Memcpy;
  w.device = tls_device;
  w.copy = c;
  bool src_pageable = is_pageable(c.src), dst_pageable = is_pageable(c.dst);
  if (config().async && !s->capture && src_pageable && !blocking && c.height == 1 && c.depth == 1) {
    // Pageable memory is copied to a staging buffer before the call returns.
    auto staged = std::make_shared<std::vector<uint8_t>>(reinterpret_cast<uint8_t*>(c.src),
                                                         reinterpret_cast<uint8_t*>(c.src) + c.width);
    w.fn = [c, staged] {
      CopyDesc x = c;
      x.src = reinterpret_cast<uint64_t>(staged->data());
      copy_now(x);
    };
  } else {
    w.fn = [c] { copy_now(c); };
  }
  OpPtr op = enqueue(s, std::move(w));
  if (blocking || (dst_pageable && !s->capture)) force(op);
  return static_cast<cudaError_t>(sticky_error(tls_device));
}
static CopyDesc linear(void* d, const void* s, size_t n) {
  CopyDesc c;
  c.dst = reinterpret_cast<uint64_t>(d);
  c.src = reinterpret_cast<uint64_t>(s);
  c.width = n;
  return c;
}
static CopyDesc planar(void* d, size_t dp, const void* s, size_t sp, size_t w, size_t h) {
  CopyDesc c = linear(d, s, w);
  c.dpitch = dp;
  c.spitch = sp;
  c.height = h;
  return c;
}
EXPORT cudaError_t cudaMemcpy(void* d, const void* s, size_t n, cudaMemcpyKind k) {
  API(cudaMemcpy);
  NO_CAPTURE();
  return fail(copy(to_stream(nullptr), linear(d, s, n), k, true));
}
EXPORT cudaError_t cudaMemcpy_ptds(void* d, const void* s, size_t n, cudaMemcpyKind k) {
  return cudaMemcpy(d, s, n, k);
}
EXPORT cudaError_t cudaMemcpyAsync(void* d, const void* s, size_t n, cudaMemcpyKind k, cudaStream_t st) {
  API(cudaMemcpyAsync);
  return fail(copy(to_stream(st), linear(d, s, n), k, false));
}
EXPORT cudaError_t cudaMemcpyAsync_ptsz(void* d, const void* s, size_t n, cudaMemcpyKind k, cudaStream_t st) {
  return cudaMemcpyAsync(d, s, n, k, st ? st : cudaStreamPerThread);
}
EXPORT cudaError_t cudaMemcpyPeer(void* d, int, const void* s, int, size_t n) {
  API(cudaMemcpyPeer);
  NO_CAPTURE();
  return fail(copy(to_stream(nullptr), linear(d, s, n), cudaMemcpyDefault, true));
}
EXPORT cudaError_t cudaMemcpyPeerAsync(void* d, int, const void* s, int, size_t n, cudaStream_t st) {
  API(cudaMemcpyPeerAsync);
  return fail(copy(to_stream(st), linear(d, s, n), cudaMemcpyDefault, false));
}
EXPORT cudaError_t cudaMemcpy2D(void* d, size_t dp, const void* s, size_t sp, size_t w, size_t h, cudaMemcpyKind k) {
  API(cudaMemcpy2D);
  NO_CAPTURE();
  if (w > dp || w > sp) return fail(cudaErrorInvalidPitchValue);
  return fail(copy(to_stream(nullptr), planar(d, dp, s, sp, w, h), k, true));
}
EXPORT cudaError_t cudaMemcpy2DAsync(void* d, size_t dp, const void* s, size_t sp, size_t w, size_t h, cudaMemcpyKind k,
                                     cudaStream_t st) {
  API(cudaMemcpy2DAsync);
  if (w > dp || w > sp) return fail(cudaErrorInvalidPitchValue);
  return fail(copy(to_stream(st), planar(d, dp, s, sp, w, h), k, false));
}
static CopyDesc from3_d(const cudaMemcpy3DParms* p) {
  CopyDesc c;
  c.dst = reinterpret_cast<uint64_t>(p->dstPtr.ptr) + p->dstPos.x + p->dstPos.y * p->dstPtr.pitch +
          p->dstPos.z * p->dstPtr.pitch * p->dstPtr.ysize;
  c.src = reinterpret_cast<uint64_t>(p->srcPtr.ptr) + p->srcPos.x + p->srcPos.y * p->srcPtr.pitch +
          p->srcPos.z * p->srcPtr.pitch * p->srcPtr.ysize;
  c.dpitch = p->dstPtr.pitch;
  c.spitch = p->srcPtr.pitch;
  c.dslice = p->dstPtr.pitch * p->dstPtr.ysize;
  c.sslice = p->srcPtr.pitch * p->srcPtr.ysize;
  c.width = p->extent.width;
  c.height = p->extent.height;
  c.depth = p->extent.depth;
  return c;
}
EXPORT cudaError_t cudaMemcpy3D(const cudaMemcpy3DParms* p) {
  API(cudaMemcpy3D);
  NO_CAPTURE();
  return fail(copy(to_stream(nullptr), from3_d(p), p->kind, true));
}
EXPORT cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* p, cudaStream_t st) {
  API(cudaMemcpy3DAsync);
  return fail(copy(to_stream(st), from3_d(p), p->kind, false));
}

static cudaError_t fill_mem(Stream* s, SetDesc d, bool blocking) {
  if (!s) return cudaErrorInvalidResourceHandle;
  if (!d.width || !d.height) return cudaSuccess;
  if (!range_ok(d.dst, d.width * d.elem, d.height, d.pitch) || is_pageable(d.dst)) {
    report(strf("error: memset of %zu x %zu bytes at 0x%llx; %s", d.width, d.height, (unsigned long long)d.dst,
                mem::describe_near(d.dst, 1).c_str()));
    return cudaErrorInvalidValue;
  }
  if (s->capture && s->capture->invalid) return cudaErrorStreamCaptureInvalidated;
  Work w;
  w.type = NodeType::Memset;
  w.device = tls_device;
  w.set = d;
  w.fn = [d] { set_now(d); };
  OpPtr op = enqueue(s, std::move(w));
  (void)blocking;  // cudaMemset may return before it is done, as on a device
  return static_cast<cudaError_t>(sticky_error(tls_device));
}
static SetDesc flat(void* p, int v, size_t n) {
  SetDesc d;
  d.dst = reinterpret_cast<uint64_t>(p);
  d.value = unsigned(v);
  d.width = n;
  return d;
}
EXPORT cudaError_t cudaMemset(void* p, int v, size_t n) {
  API(cudaMemset);
  NO_CAPTURE();
  return fail(fill_mem(to_stream(nullptr), flat(p, v, n), true));
}
EXPORT cudaError_t cudaMemsetAsync(void* p, int v, size_t n, cudaStream_t st) {
  API(cudaMemsetAsync);
  return fail(fill_mem(to_stream(st), flat(p, v, n), false));
}
EXPORT cudaError_t cudaMemsetAsync_ptsz(void* p, int v, size_t n, cudaStream_t st) {
  return cudaMemsetAsync(p, v, n, st ? st : cudaStreamPerThread);
}
EXPORT cudaError_t cudaMemset2D(void* p, size_t pitch, int v, size_t w, size_t h) {
  API(cudaMemset2D);
  NO_CAPTURE();
  SetDesc d = flat(p, v, w);
  d.pitch = pitch;
  d.height = h;
  return fail(fill_mem(to_stream(nullptr), d, true));
}
EXPORT cudaError_t cudaMemset2DAsync(void* p, size_t pitch, int v, size_t w, size_t h, cudaStream_t st) {
  API(cudaMemset2DAsync);
  SetDesc d = flat(p, v, w);
  d.pitch = pitch;
  d.height = h;
  return fail(fill_mem(to_stream(st), d, false));
}

EXPORT cudaError_t cudaGetSymbolAddress(void** p, const void* s) {
  API(cudaGetSymbolAddress);
  uint64_t a = symbol_address(s, nullptr);
  if (!a) return fail(cudaErrorInvalidSymbol);
  *p = reinterpret_cast<void*>(a);
  return cudaSuccess;
}
EXPORT cudaError_t cudaGetSymbolSize(size_t* n, const void* s) {
  API(cudaGetSymbolSize);
  return symbol_address(s, n) ? cudaSuccess : fail(cudaErrorInvalidSymbol);
}
static cudaError_t symbol_copy(const void* s, void* other, size_t n, size_t off, cudaMemcpyKind k, bool to, Stream* st,
                               bool blocking) {
  size_t size = 0;
  uint64_t a = symbol_address(s, &size);
  if (!a) return cudaErrorInvalidSymbol;
  if (off + n > size) return cudaErrorInvalidValue;
  auto* p = reinterpret_cast<void*>(a + off);
  return copy(st, to ? linear(p, other, n) : linear(other, p, n), k, blocking);
}
EXPORT cudaError_t cudaMemcpyToSymbol(const void* s, const void* h, size_t n, size_t off, cudaMemcpyKind k) {
  API(cudaMemcpyToSymbol);
  NO_CAPTURE();
  return fail(symbol_copy(s, const_cast<void*>(h), n, off, k, true, to_stream(nullptr), true));
}
EXPORT cudaError_t cudaMemcpyFromSymbol(void* h, const void* s, size_t n, size_t off, cudaMemcpyKind k) {
  API(cudaMemcpyFromSymbol);
  NO_CAPTURE();
  return fail(symbol_copy(s, h, n, off, k, false, to_stream(nullptr), true));
}
EXPORT cudaError_t cudaMemcpyToSymbolAsync(const void* s, const void* h, size_t n, size_t off, cudaMemcpyKind k,
                                           cudaStream_t st) {
  API(cudaMemcpyToSymbolAsync);
  return fail(symbol_copy(s, const_cast<void*>(h), n, off, k, true, to_stream(st), false));
}
EXPORT cudaError_t cudaMemcpyFromSymbolAsync(void* h, const void* s, size_t n, size_t off, cudaMemcpyKind k,
                                             cudaStream_t st) {
  API(cudaMemcpyFromSymbolAsync);
  return fail(symbol_copy(s, h, n, off, k, false, to_stream(st), false));
}
