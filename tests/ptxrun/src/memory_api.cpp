// Allocation: device, managed and page-locked memory, pools.
#include <algorithm>
#include <cstring>

#include "runtime.h"

using namespace ptxrun;

static cudaError_t dev_malloc(void** p, size_t n, const char* what, bool pool) {
  if (!p) return cudaErrorInvalidValue;
  if (!n) {
    *p = nullptr;
    return cudaSuccess;
  }
  uint64_t a = mem::alloc_device(tls_device, n, MemKind::Device, what, pool);
  if (!a) return cudaErrorMemoryAllocation;
  *p = reinterpret_cast<void*>(a);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMalloc(void** p, size_t n) {
  API(cudaMalloc);
  NO_CAPTURE();
  return fail(dev_malloc(p, n, "cudaMalloc", false));
}
EXPORT cudaError_t cudaMallocManaged(void** p, size_t n, unsigned flags) {
  API(cudaMallocManaged);
  NO_CAPTURE();
  if (!p || !n) return fail(cudaErrorInvalidValue);
  *p = mem::alloc_host(n, MemKind::Managed, flags, "cudaMallocManaged", tls_device);
  return *p ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}
EXPORT cudaError_t cudaMallocPitch(void** p, size_t* pitch, size_t w, size_t h) {
  API(cudaMallocPitch);
  NO_CAPTURE();
  *pitch = (w + 511) / 512 * 512;
  return fail(dev_malloc(p, *pitch * h, "cudaMallocPitch", false));
}
EXPORT cudaError_t cudaMalloc3D(cudaPitchedPtr* p, cudaExtent e) {
  API(cudaMalloc3D);
  NO_CAPTURE();
  p->pitch = (e.width + 511) / 512 * 512;
  p->xsize = e.width;
  p->ysize = e.height;
  return fail(dev_malloc(&p->ptr, p->pitch * e.height * e.depth, "cudaMalloc3D", false));
}
static cudaError_t free_result(mem::FreeResult r, const void* p, const char* api) {
  if (r == mem::FreeResult::Ok) return cudaSuccess;
  report(strf("error: %s of 0x%llx: %s", api, (unsigned long long)reinterpret_cast<uint64_t>(p),
              r == mem::FreeResult::Double    ? "it was freed before"
              : r == mem::FreeResult::NotBase ? "not the start of an allocation"
                                              : "not an allocation of this kind"));
  return cudaErrorInvalidValue;
}
EXPORT cudaError_t cudaFree(void* p) {
  API(cudaFree);
  if (!p) return cudaSuccess;
  NO_CAPTURE();
  sync_device(tls_device);
  cudaError_t e = free_result(mem::release(reinterpret_cast<uint64_t>(p), false), p, "cudaFree");
  if (!e) e = static_cast<cudaError_t>(sticky_error(tls_device));
  return fail(e);
}
EXPORT cudaError_t cudaHostAlloc(void** p, size_t n, unsigned flags) {
  API(cudaHostAlloc);
  NO_CAPTURE();
  if (!p) return fail(cudaErrorInvalidValue);
  if (!n) {
    *p = nullptr;
    return cudaSuccess;
  }
  *p = mem::alloc_host(n, MemKind::Pinned, flags, "cudaHostAlloc", tls_device);
  return *p ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}
EXPORT cudaError_t cudaMallocHost(void** p, size_t n) {
  API(cudaMallocHost);
  NO_CAPTURE();
  if (!p) return fail(cudaErrorInvalidValue);
  if (!n) {
    *p = nullptr;
    return cudaSuccess;
  }
  *p = mem::alloc_host(n, MemKind::Pinned, 0, "cudaMallocHost", tls_device);
  return *p ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}
EXPORT cudaError_t cudaFreeHost(void* p) {
  API(cudaFreeHost);
  if (!p) return cudaSuccess;
  NO_CAPTURE();
  for (int d = 0; d < config().devices; d++) sync_device(d);
  return fail(free_result(mem::release(reinterpret_cast<uint64_t>(p), true), p, "cudaFreeHost"));
}
EXPORT cudaError_t cudaHostRegister(void* p, size_t n, unsigned flags) {
  API(cudaHostRegister);
  if (!p || !n) return fail(cudaErrorInvalidValue);
  return mem::register_host(p, n, flags) ? cudaSuccess : fail(cudaErrorHostMemoryAlreadyRegistered);
}
EXPORT cudaError_t cudaHostUnregister(void* p) {
  API(cudaHostUnregister);
  return mem::unregister_host(p) ? cudaSuccess : fail(cudaErrorHostMemoryNotRegistered);
}
EXPORT cudaError_t cudaHostGetDevicePointer(void** d, void* h, unsigned) {
  API(cudaHostGetDevicePointer);
  const Alloc* a = mem::find(reinterpret_cast<uint64_t>(h));
  if (!a || a->kind == MemKind::Device) return fail(cudaErrorInvalidValue);
  *d = h;
  return cudaSuccess;
}
EXPORT cudaError_t cudaHostGetFlags(unsigned* f, void* h) {
  API(cudaHostGetFlags);
  const Alloc* a = mem::find(reinterpret_cast<uint64_t>(h));
  if (!a) return fail(cudaErrorInvalidValue);
  *f = a->flags;
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemGetInfo(size_t* fr, size_t* tot) {
  API(cudaMemGetInfo);
  if (fr) *fr = mem::total() - std::min(mem::total(), mem::used(tls_device));
  if (tot) *tot = mem::total();
  return cudaSuccess;
}
EXPORT cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
  API(cudaPointerGetAttributes);
  if (!a) return fail(cudaErrorInvalidValue);
  memset(a, 0, sizeof *a);
  const Alloc* x = mem::find(reinterpret_cast<uint64_t>(p));
  void* q = const_cast<void*>(p);
  if (!x) {
    a->type = cudaMemoryTypeUnregistered;
    a->device = -2;
    if (!mem::in_arena(reinterpret_cast<uint64_t>(p))) a->hostPointer = q;
    return cudaSuccess;
  }
  a->device = x->device;
  switch (x->kind) {
    case MemKind::Pinned:
    case MemKind::Registered:
      a->type = cudaMemoryTypeHost;
      a->hostPointer = a->devicePointer = q;
      break;
    case MemKind::Managed:
      a->type = cudaMemoryTypeManaged;
      a->hostPointer = a->devicePointer = q;
      break;
    default:
      a->type = cudaMemoryTypeDevice;
      a->devicePointer = q;
      break;
  }
  return cudaSuccess;
}

// ---- stream-ordered allocation

struct Pool {
  int device;
  uint64_t threshold = 0;
  std::map<int, int> attrs;
};
static Pool* default_pool(int d) {
  static auto* m = new std::map<int, Pool*>;
  auto& p = (*m)[d];
  if (!p) p = new Pool{d, 0, {}};
  return p;
}
static cudaError_t malloc_async(void** p, size_t n, Stream* s) {
  if (!s) return cudaErrorInvalidResourceHandle;
  cudaError_t e = dev_malloc(p, n, "cudaMallocAsync", true);
  if (e == cudaErrorMemoryAllocation && config().async) {
    sync_device(tls_device);
    e = dev_malloc(p, n, "cudaMallocAsync", true);
  }
  if (e) return e;
  if (s->capture) {
    Work w;
    w.type = NodeType::MemAlloc;
    w.device = tls_device;
    w.allocated = reinterpret_cast<uint64_t>(*p);
    enqueue(s, std::move(w));
  }
  return cudaSuccess;
}
EXPORT cudaError_t cudaMallocAsync(void** p, size_t n, cudaStream_t st) {
  API(cudaMallocAsync);
  return fail(malloc_async(p, n, to_stream(st)));
}
EXPORT cudaError_t cudaMallocFromPoolAsync(void** p, size_t n, cudaMemPool_t, cudaStream_t st) {
  API(cudaMallocFromPoolAsync);
  return fail(malloc_async(p, n, to_stream(st)));
}
EXPORT cudaError_t cudaMallocAsync_ptsz(void** p, size_t n, cudaStream_t st) {
  return cudaMallocAsync(p, n, st ? st : cudaStreamPerThread);
}
EXPORT cudaError_t cudaFreeAsync(void* p, cudaStream_t st) {
  API(cudaFreeAsync);
  if (!p) return cudaSuccess;
  Stream* s = to_stream(st);
  if (!s) return fail(cudaErrorInvalidResourceHandle);
  uint64_t a = reinterpret_cast<uint64_t>(p);
  const Alloc* x = mem::find(a);
  if (!x || x->base != a || x->kind != MemKind::Device)
    return fail(free_result(x ? mem::FreeResult::NotBase : mem::release(a, false), p, "cudaFreeAsync"));
  Work w;
  w.type = NodeType::MemFree;
  w.device = tls_device;
  w.allocated = a;
  if (!s->capture) w.fn = [a] { mem::release(a, false); };  // a graph keeps its memory between launches
  enqueue(s, std::move(w));
  return cudaSuccess;
}
EXPORT cudaError_t cudaFreeAsync_ptsz(void* p, cudaStream_t st) {
  return cudaFreeAsync(p, st ? st : cudaStreamPerThread);
}
EXPORT cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* p, int d) {
  API(cudaDeviceGetDefaultMemPool);
  if (d < 0 || d >= config().devices) return fail(cudaErrorInvalidDevice);
  *p = reinterpret_cast<cudaMemPool_t>(default_pool(d));
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* p, int d) {
  API(cudaDeviceGetMemPool);
  if (d < 0 || d >= config().devices) return fail(cudaErrorInvalidDevice);
  *p = reinterpret_cast<cudaMemPool_t>(default_pool(d));
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceSetMemPool(int, cudaMemPool_t) {
  API(cudaDeviceSetMemPool);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolCreate(cudaMemPool_t* p, const cudaMemPoolProps* q) {
  API(cudaMemPoolCreate);
  *p = reinterpret_cast<cudaMemPool_t>(new Pool{q ? q->location.id : 0, 0, {}});
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolDestroy(cudaMemPool_t) {
  API(cudaMemPoolDestroy);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) {
  API(cudaMemPoolTrimTo);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t p, cudaMemPoolAttr a, void* v) {
  API(cudaMemPoolSetAttribute);
  auto* q = reinterpret_cast<Pool*>(p);
  if (a == cudaMemPoolAttrReleaseThreshold)
    q->threshold = *static_cast<uint64_t*>(v);
  else if (a < cudaMemPoolAttrReleaseThreshold)
    q->attrs[a] = *static_cast<int*>(v);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t p, cudaMemPoolAttr a, void* v) {
  API(cudaMemPoolGetAttribute);
  auto* q = reinterpret_cast<Pool*>(p);
  if (a == cudaMemPoolAttrReleaseThreshold)
    *static_cast<uint64_t*>(v) = q->threshold;
  else if (a < cudaMemPoolAttrReleaseThreshold)
    *static_cast<int*>(v) = q->attrs.count(a) ? q->attrs[a] : 1;
  else
    *static_cast<uint64_t*>(v) = a == cudaMemPoolAttrReservedMemHigh || a == cudaMemPoolAttrUsedMemHigh
                                     ? mem::peak(q->device)
                                     : mem::used(q->device);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolSetAccess(cudaMemPool_t, const cudaMemAccessDesc*, size_t) {
  API(cudaMemPoolSetAccess);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolGetAccess(cudaMemAccessFlags* f, cudaMemPool_t, cudaMemLocation*) {
  API(cudaMemPoolGetAccess);
  *f = cudaMemAccessFlagsProtReadWrite;
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPrefetchAsync(const void*, size_t, cudaMemLocation, unsigned, cudaStream_t) {
  API(cudaMemPrefetchAsync);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemAdvise(const void*, size_t, cudaMemoryAdvise, cudaMemLocation) {
  API(cudaMemAdvise);
  return cudaSuccess;
}
