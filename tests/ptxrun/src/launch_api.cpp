// Kernels and variables: registration, launches, attributes, occupancy.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "fatbin.h"
#include "runtime.h"
#include "stats.h"

namespace ptxrun {

struct FatBin {
  const void* data = nullptr;
  bool loaded = false;
  std::unique_ptr<Module> module;
  Module* get() {
    if (!loaded) {
      loaded = true;
      auto images = extract_ptx(data);
      const PtxImage* best = nullptr;
      for (auto& i : images) {
        bool fits = i.arch <= 90, best_fits = best && best->arch <= 90;
        if (!best || (fits && !best_fits) || (fits == best_fits && (fits ? i.arch > best->arch : i.arch < best->arch)))
          best = &i;
      }
      if (best) {
        try {
          module = std::make_unique<Module>(best->text);
        } catch (const ParseError& e) {
          report("cannot read embedded PTX: " + e.text);
        }
      }
    }
    return module.get();
  }
};
struct Entry {
  FatBin* bin;
  std::string name;
  Kernel* kernel = nullptr;
};
struct Var {
  FatBin* bin;
  std::string name;
  size_t size;
};

namespace {
struct Registry {
  std::vector<std::unique_ptr<FatBin>> bins;
  std::unordered_map<const void*, std::unique_ptr<Entry>> kernels;
  std::unordered_map<const void*, Var> vars;
};
Registry& r() {
  static auto* r = new Registry;
  return *r;
}

struct CallConfig {
  dim3 grid, block;
  size_t shmem;
  cudaStream_t stream;
};
thread_local std::vector<CallConfig> call_stack;

void at_exit() {
  static bool once = false;
  if (once) return;
  once = true;
  stats::write_report();
  if (config().leakcheck) mem::leak_report();
}
// Runs after the destructors of the program that was linked against the library.
struct ExitHook {
  ~ExitHook() { at_exit(); }
} exit_hook;
}  // namespace

Entry* find_entry(const void* f) {
  auto it = r().kernels.find(f);
  if (it != r().kernels.end()) return it->second.get();
  for (auto& [k, e] : r().kernels)
    if (e.get() == f) return e.get();
  return nullptr;
}
Kernel* kernel_of(Entry* e) {
  if (!e->kernel) {
    Module* m = e->bin->get();
    if (!m) return nullptr;
    auto it = m->kernels.find(e->name);
    if (it == m->kernels.end()) return nullptr;
    e->kernel = it->second.get();
  }
  return e->kernel;
}
const char* entry_name(Entry* e) { return e->name.c_str(); }

uint64_t symbol_address(const void* s, size_t* size) {
  auto it = r().vars.find(s);
  if (it == r().vars.end()) return 0;
  Module* m = it->second.bin->get();
  if (!m) return 0;
  auto v = m->vars.find(it->second.name);
  if (v == m->vars.end()) return 0;
  if (size) *size = v->second.size;
  try {
    return m->address(v->second, tls_device);
  } catch (const ParseError& e) {
    report(e.text);
    return 0;
  }
}

cudaError_t prepare_launch(const void* func, dim3 grid, dim3 block, void** args, size_t shmem,
                           std::shared_ptr<LaunchDesc>& out, bool cooperative) {
  Entry* e = find_entry(func);
  if (!e) return cudaErrorInvalidDeviceFunction;
  Kernel* k = kernel_of(e);
  if (!k) {
    report("no PTX for kernel " + demangle(e->name) +
           ": build with PTX embedded (-gencode arch=compute_90,code=compute_90)");
    return cudaErrorNoKernelImageForDevice;
  }
  uint64_t threads = uint64_t(block.x) * block.y * block.z;
  if (!threads || threads > 1024 || block.x > 1024 || block.y > 1024 || block.z > 64)
    return cudaErrorInvalidConfiguration;
  if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    return cudaErrorInvalidConfiguration;
  if (k->max_threads && threads > k->max_threads) return cudaErrorInvalidValue;
  if (k->req_threads && threads != k->req_threads) return cudaErrorInvalidValue;
  const Code* c;
  try {
    c = &k->get(tls_device);
  } catch (const ParseError& x) {
    report("cannot decode kernel " + k->pretty + ": " + x.text);
    return cudaErrorInvalidPtx;
  }
  size_t limit = std::max<size_t>(48 * 1024, size_t(k->max_dyn_shared) + c->static_shared);
  if (shmem > size_t(k->max_dyn_shared) || shmem + c->static_shared > std::min<size_t>(limit, 232448))
    return cudaErrorInvalidValue;
  auto d = std::make_shared<LaunchDesc>();
  if (cooperative) {
    int per = 0;
    if (cudaError_t e2 = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per, func, int(threads), shmem)) return e2;
    if (uint64_t(grid.x) * grid.y * grid.z > uint64_t(per) * 132) return cudaErrorCooperativeLaunchTooLarge;
    static uint64_t ws[16];
    if (!ws[tls_device]) ws[tls_device] = mem::alloc_device(tls_device, 8, MemKind::Variable, "grid workspace");
    if (!ws[tls_device]) return cudaErrorMemoryAllocation;
    d->workspace = ws[tls_device];
  }
  d->kernel = k;
  d->device = tls_device;
  d->grid[0] = grid.x;
  d->grid[1] = grid.y;
  d->grid[2] = grid.z;
  d->block[0] = block.x;
  d->block[1] = block.y;
  d->block[2] = block.z;
  d->dyn_shared = uint32_t(shmem);
  d->params.assign(k->param_bytes, 0);
  for (size_t i = 0; i < k->params.size(); i++) {
    if (!args || !args[i]) return cudaErrorInvalidValue;
    memcpy(d->params.data() + k->params[i].offset, args[i], k->params[i].size);
  }
  out = d;
  return cudaSuccess;
}

static cudaError_t launch(const void* func, dim3 grid, dim3 block, void** args, size_t shmem, cudaStream_t stream,
                          bool coop) {
  Stream* s = to_stream(stream);
  if (!s) return cudaErrorInvalidResourceHandle;
  if (s->device != tls_device) return cudaErrorInvalidResourceHandle;
  std::shared_ptr<LaunchDesc> d;
  if (cudaError_t e = prepare_launch(func, grid, block, args, shmem, d, coop)) return e;
  if (s->capture && s->capture->invalid) return cudaErrorStreamCaptureInvalidated;
  Work w;
  w.type = NodeType::Kernel;
  w.device = tls_device;
  w.launch = d;
  w.func = func;
  w.fn = [d] { run_kernel(*d); };
  enqueue(s, std::move(w));
  return cudaSuccess;
}

}  // namespace ptxrun

using namespace ptxrun;

EXPORT void** __cudaRegisterFatBinary(void* p) {
  Lock l(big_lock());
#ifdef PTXRUN_AVX2
  if (!__builtin_cpu_supports("avx2")) {
    report("this processor has no AVX2: build with -DPTXRUN_MARCH=x86-64-v2");
    abort();
  }
#endif
  struct Wrapper {
    unsigned magic, version;
    const void* data;
    void* file;
  };
  auto* w = static_cast<Wrapper*>(p);
  auto b = std::make_unique<FatBin>();
  b->data = w->data;
  r().bins.push_back(std::move(b));
  return reinterpret_cast<void**>(r().bins.back().get());
}
EXPORT void __cudaRegisterFatBinaryEnd(void**) {}
EXPORT void __cudaUnregisterFatBinary(void** h) {
  Lock l(big_lock());
  auto* b = reinterpret_cast<FatBin*>(h);
  std::erase_if(r().kernels, [&](auto& x) { return x.second->bin == b; });
  std::erase_if(r().vars, [&](auto& x) { return x.second.bin == b; });
  // The module stays: deferred work and reports may still refer to it.
}
EXPORT void __cudaRegisterFunction(void** h, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*,
                                   dim3*, int*) {
  Lock l(big_lock());
  r().kernels[host] = std::make_unique<Entry>(Entry{reinterpret_cast<FatBin*>(h), name, nullptr});
}
EXPORT void __cudaRegisterVar(void** h, char* host, char*, const char* name, int, size_t size, int, int) {
  Lock l(big_lock());
  r().vars[host] = Var{reinterpret_cast<FatBin*>(h), name, size};
}
EXPORT void __cudaRegisterManagedVar(void** h, void** host, char*, const char* name, int, size_t size, int, int) {
  Lock l(big_lock());
  auto* b = reinterpret_cast<FatBin*>(h);
  Module* m = b->get();
  if (!m || config().devices == 0) return;
  auto it = m->vars.find(name);
  if (it == m->vars.end()) return;
  void* p = mem::alloc_host(std::max(size, size_t(it->second.size)), MemKind::Managed, 1, name, 0);
  if (!p) return;
  // The initialiser comes from a throw-away copy in device memory.
  try {
    uint64_t tmp = m->address(it->second, 0);
    memcpy(p, mem::host(tmp), it->second.size);
  } catch (const ParseError&) {
    memset(p, 0, size);
  }
  for (int d = 0; d < config().devices; d++) it->second.addr[d] = reinterpret_cast<uint64_t>(p);
  *host = p;
  r().vars[host] = Var{b, name, size};
}
EXPORT void __cudaRegisterHostVar(void**, const char*, char*, size_t) {}
EXPORT void __cudaRegisterUnifiedTable(void**, void*) {}
EXPORT char __cudaInitModule(void**) { return 1; }
EXPORT unsigned __cudaPushCallConfiguration(dim3 g, dim3 b, size_t sh, void* st) {
  call_stack.push_back({g, b, sh, static_cast<cudaStream_t>(st)});
  return 0;
}
EXPORT cudaError_t __cudaPopCallConfiguration(dim3* g, dim3* b, size_t* sh, void* st) {
  if (call_stack.empty()) return cudaErrorMissingConfiguration;
  auto c = call_stack.back();
  call_stack.pop_back();
  *g = c.grid;
  *b = c.block;
  *sh = c.shmem;
  *static_cast<cudaStream_t*>(st) = c.stream;
  return cudaSuccess;
}
EXPORT cudaError_t __cudaGetKernel(cudaKernel_t* k, const void* f) {
  Lock l(big_lock());
  Entry* e = find_entry(f);
  if (!e) return cudaErrorInvalidDeviceFunction;
  *k = reinterpret_cast<cudaKernel_t>(e);
  return cudaSuccess;
}
EXPORT cudaError_t cudaGetKernel(cudaKernel_t* k, const void* f) { return __cudaGetKernel(k, f); }
EXPORT cudaError_t cudaGetFuncBySymbol(cudaFunction_t* k, const void* f) {
  return __cudaGetKernel(reinterpret_cast<cudaKernel_t*>(k), f);
}
EXPORT cudaError_t cudaLaunchKernel(const void* f, dim3 g, dim3 b, void** a, size_t sh, cudaStream_t st) {
  API(cudaLaunchKernel);
  return fail(launch(f, g, b, a, sh, st, false));
}
EXPORT cudaError_t __cudaLaunchKernel(cudaKernel_t k, dim3 g, dim3 b, void** a, size_t sh, cudaStream_t st) {
  API(cudaLaunchKernel);
  return fail(launch(k, g, b, a, sh, st, false));
}
EXPORT cudaError_t __cudaLaunchKernel_ptsz(cudaKernel_t k, dim3 g, dim3 b, void** a, size_t sh, cudaStream_t st) {
  return __cudaLaunchKernel(k, g, b, a, sh, st ? st : cudaStreamPerThread);
}
EXPORT cudaError_t cudaLaunchKernel_ptsz(const void* f, dim3 g, dim3 b, void** a, size_t sh, cudaStream_t st) {
  return cudaLaunchKernel(f, g, b, a, sh, st ? st : cudaStreamPerThread);
}
EXPORT cudaError_t cudaLaunchCooperativeKernel(const void* f, dim3 g, dim3 b, void** a, size_t sh, cudaStream_t st) {
  API(cudaLaunchCooperativeKernel);
  return fail(launch(f, g, b, a, sh, st, true));
}
EXPORT cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* c, const void* f, void** a) {
  API(cudaLaunchKernelExC);
  if (!c) return fail(cudaErrorInvalidValue);
  for (unsigned i = 0; i < c->numAttrs; i++)
    if (c->attrs[i].id == cudaLaunchAttributeClusterDimension) {
      auto& d = c->attrs[i].val.clusterDim;
      if (d.x * d.y * d.z > 1) {
        report("clusters of more than one block are not supported");
        return fail(cudaErrorNotSupported);
      }
    }
  bool coop = false;
  for (unsigned i = 0; i < c->numAttrs; i++)
    coop |= c->attrs[i].id == cudaLaunchAttributeCooperative && c->attrs[i].val.cooperative;
  return fail(launch(f, c->gridDim, c->blockDim, a, c->dynamicSmemBytes, c->stream, coop));
}

// ---------------------------------------------------------------- functions and occupancy

EXPORT cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, const void* f) {
  API(cudaFuncGetAttributes);
  Entry* e = find_entry(f);
  if (!e || !a) return fail(e ? cudaErrorInvalidValue : cudaErrorInvalidDeviceFunction);
  Kernel* k = kernel_of(e);
  if (!k) return fail(cudaErrorNoKernelImageForDevice);
  memset(a, 0, sizeof *a);
  try {
    const Code& c = k->get(tls_device);
    a->sharedSizeBytes = c.static_shared;
    a->localSizeBytes = c.local_bytes;
    a->numRegs = int(c.regs_per_thread);
  } catch (const ParseError& x) {
    report("cannot decode kernel " + k->pretty + ": " + x.text);
    return fail(cudaErrorInvalidPtx);
  }
  a->maxThreadsPerBlock = k->max_threads ? int(std::min(k->max_threads, 1024u)) : 1024;
  int arch = 90;
  size_t p = k->module->target.find("sm_");
  if (p != std::string::npos) arch = atoi(k->module->target.c_str() + p + 3);
  a->ptxVersion = arch;
  a->binaryVersion = arch;
  a->maxDynamicSharedSizeBytes = k->max_dyn_shared;
  a->preferredShmemCarveout = -1;
  return cudaSuccess;
}
EXPORT cudaError_t cudaFuncSetAttribute(const void* f, cudaFuncAttribute at, int v) {
  API(cudaFuncSetAttribute);
  Entry* e = find_entry(f);
  if (!e) return fail(cudaErrorInvalidDeviceFunction);
  Kernel* k = kernel_of(e);
  if (!k) return fail(cudaErrorNoKernelImageForDevice);
  if (at == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    uint32_t st = 0;
    try {
      st = k->get(tls_device).static_shared;
    } catch (const ParseError&) {
    }
    if (v < 0 || uint32_t(v) + st > 232448) return fail(cudaErrorInvalidValue);
    k->max_dyn_shared = v;
  }
  return cudaSuccess;
}
EXPORT cudaError_t cudaFuncSetCacheConfig(const void*, cudaFuncCache) {
  API(cudaFuncSetCacheConfig);
  return cudaSuccess;
}
EXPORT cudaError_t cudaFuncGetName(const char** n, const void* f) {
  API(cudaFuncGetName);
  Entry* e = find_entry(f);
  if (!e) return fail(cudaErrorInvalidDeviceFunction);
  *n = entry_name(e);
  return cudaSuccess;
}
EXPORT cudaError_t cudaFuncGetParamInfo(const void* f, size_t i, size_t* off, size_t* size) {
  API(cudaFuncGetParamInfo);
  Entry* e = find_entry(f);
  Kernel* k = e ? kernel_of(e) : nullptr;
  if (!k || i >= k->params.size()) return fail(cudaErrorInvalidValue);
  if (off) *off = k->params[i].offset;
  if (size) *size = k->params[i].size;
  return cudaSuccess;
}
EXPORT cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* n, const void* f, int threads, size_t sh,
                                                                          unsigned) {
  API(cudaOccupancyMaxActiveBlocksPerMultiprocessor);
  Entry* e = find_entry(f);
  if (!e || !n) return fail(cudaErrorInvalidDeviceFunction);
  Kernel* k = kernel_of(e);
  if (!k) return fail(cudaErrorNoKernelImageForDevice);
  if (threads <= 0) return fail(cudaErrorInvalidValue);
  try {
    const Code& c = k->get(tls_device);
    int warps = (threads + 31) / 32;
    size_t shared = c.static_shared + sh + 1024;
    int b = std::min({32, 64 / warps, int(233472 / shared)});
    int regs = int((c.regs_per_thread + 7) / 8 * 8) * 32 * warps;
    b = std::min(b, 65536 / std::max(regs, 1));
    if (threads > 1024 || (k->max_threads && threads > int(k->max_threads))) b = 0;
    *n = std::max(b, 0);
  } catch (const ParseError& x) {
    report(x.text);
    return fail(cudaErrorInvalidPtx);
  }
  return cudaSuccess;
}
EXPORT cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n, const void* f, int t, size_t sh) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(n, f, t, sh, 0);
}
EXPORT cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* v, const void*, int blocks, int) {
  API(cudaOccupancyAvailableDynamicSMemPerBlock);
  *v = size_t(233472 / std::max(blocks, 1)) - 1024;
  return cudaSuccess;
}
