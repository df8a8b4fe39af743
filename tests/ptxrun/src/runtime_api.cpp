// The CUDA runtime API: registration of kernels and variables, launches, devices, memory.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "fatbin.h"
#include "runtime.h"
#include "stats.h"

namespace ptxrun {

thread_local int tls_device = 0;
static thread_local cudaError_t tls_error = cudaSuccess;

cudaError_t fail(cudaError_t e) {
  if (e != cudaSuccess && e != cudaErrorNotReady) tls_error = e;
  return e;
}

// ---------------------------------------------------------------- fault injection

static cudaError_t injected(const char* name) {
  struct Rule {
    std::string api;
    long n;
    bool onward;
    int code;
    long seen = 0;
  };
  static std::vector<Rule> rules = [] {
    std::vector<Rule> r;
    std::string s = config().fail;
    for (size_t b = 0; b < s.size();) {
      size_t e = s.find(',', b);
      if (e == s.npos) e = s.size();
      std::string x = s.substr(b, e - b);
      b = e + 1;
      Rule q{x, 1, false, -1};
      size_t c = x.find(':');
      if (c != x.npos) {
        q.api = x.substr(0, c);
        char* end;
        q.n = strtol(x.c_str() + c + 1, &end, 10);
        if (*end == '+') {
          q.onward = true;
          end++;
        }
        if (*end == ':') q.code = atoi(end + 1);
      }
      if (q.code < 0)
        q.code = q.api.find("alloc") != q.api.npos || q.api.find("Alloc") != q.api.npos ? cudaErrorMemoryAllocation
                                                                                        : cudaErrorUnknown;
      r.push_back(q);
    }
    return r;
  }();
  for (auto& r : rules)
    if (r.api == name) {
      r.seen++;
      if (r.seen == r.n || (r.onward && r.seen > r.n)) return static_cast<cudaError_t>(r.code);
    }
  return cudaSuccess;
}

// ---------------------------------------------------------------- registration

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

// ---------------------------------------------------------------- entering the API

cudaError_t enter(const char* name, bool sticky) {
  if (config().trace) report(std::string("call ") + name);
  if (cudaError_t e = injected(name)) return e;
  if (config().devices == 0) return cudaErrorNoDevice;
  if (sticky)
    if (int c = sticky_error(tls_device)) return static_cast<cudaError_t>(c);
  return cudaSuccess;
}

static thread_local cudaStreamCaptureMode tls_capture_mode = cudaStreamCaptureModeGlobal;

bool capture_forbids() {
  if (tls_capture_mode == cudaStreamCaptureModeRelaxed) return false;
  bool bad = false;
  for (auto* s : all_streams())
    if (s->capture && s->capture->origin == s && s->capture->mode != cudaStreamCaptureModeRelaxed) {
      bool mine = s->capture->thread == static_cast<unsigned long>(pthread_self());
      if (mine ||
          (s->capture->mode == cudaStreamCaptureModeGlobal && tls_capture_mode == cudaStreamCaptureModeGlobal)) {
        s->capture->invalid = true;
        bad = true;
      }
    }
  return bad;
}

Stream* to_stream(cudaStream_t s) {
  if (s == nullptr || s == cudaStreamLegacy) return default_stream(tls_device);
  if (s == cudaStreamPerThread) {
    static thread_local std::map<int, Stream*> mine;
    auto& x = mine[tls_device];
    if (!x) x = create_stream(tls_device, 0, 0);
    return x;
  }
  auto* p = reinterpret_cast<Stream*>(s);
  return known_stream(p) ? p : nullptr;
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

// ---------------------------------------------------------------- errors

struct ErrText {
  cudaError_t e;
  const char *name, *text;
};
static const ErrText k_errors[] = {
#define X(n, t) \
  { n, #n, t }
    X(cudaSuccess, "no error"),
    X(cudaErrorInvalidValue, "invalid argument"),
    X(cudaErrorMemoryAllocation, "out of memory"),
    X(cudaErrorInitializationError, "initialization error"),
    X(cudaErrorCudartUnloading, "driver shutting down"),
    X(cudaErrorProfilerDisabled, "profiler disabled while using external profiling tool"),
    X(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    X(cudaErrorInvalidPitchValue, "invalid pitch argument"),
    X(cudaErrorInvalidSymbol, "invalid device symbol"),
    X(cudaErrorInvalidHostPointer, "invalid host pointer"),
    X(cudaErrorInvalidDevicePointer, "invalid device pointer"),
    X(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    X(cudaErrorMissingConfiguration, "__global__ function call is not configured"),
    X(cudaErrorInvalidDeviceFunction, "invalid device function"),
    X(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    X(cudaErrorInvalidDevice, "invalid device ordinal"),
    X(cudaErrorInvalidKernelImage, "device kernel image is invalid"),
    X(cudaErrorDeviceUninitialized, "invalid device context"),
    X(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    X(cudaErrorInvalidPtx, "a PTX JIT compilation failed"),
    X(cudaErrorInvalidSource, "device kernel image is invalid"),
    X(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    X(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    X(cudaErrorSymbolNotFound, "named symbol not found"),
    X(cudaErrorNotReady, "device not ready"),
    X(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    X(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    X(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    X(cudaErrorPeerAccessAlreadyEnabled, "peer access is already enabled"),
    X(cudaErrorPeerAccessNotEnabled, "peer access has not been enabled"),
    X(cudaErrorSetOnActiveProcess, "cannot set while device is active in this process"),
    X(cudaErrorContextIsDestroyed, "context is destroyed"),
    X(cudaErrorAssert, "device-side assert triggered"),
    X(cudaErrorHostMemoryAlreadyRegistered, "part or all of the requested memory range is already mapped"),
    X(cudaErrorHostMemoryNotRegistered, "pointer does not correspond to a registered memory region"),
    X(cudaErrorHardwareStackError, "hardware stack error"),
    X(cudaErrorIllegalInstruction, "an illegal instruction was encountered"),
    X(cudaErrorMisalignedAddress, "misaligned address"),
    X(cudaErrorInvalidAddressSpace, "operation not supported on global/shared address space"),
    X(cudaErrorInvalidPc, "invalid program counter"),
    X(cudaErrorLaunchFailure, "unspecified launch failure"),
    X(cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"),
    X(cudaErrorNotPermitted, "operation not permitted"),
    X(cudaErrorNotSupported, "operation not supported"),
    X(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    X(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    X(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    X(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    X(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    X(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    X(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream"),
    X(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    X(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread"),
    X(cudaErrorTimeout, "wait operation timed out"),
    X(cudaErrorGraphExecUpdateFailure,
      "the graph update was not performed because it included changes which violated constraints specific to "
      "instantiated graph update"),
    X(cudaErrorUnknown, "unknown error"),
#undef X
};
EXPORT const char* cudaGetErrorName(cudaError_t e) {
  for (auto& x : k_errors)
    if (x.e == e) return x.name;
  return "unrecognized error code";
}
EXPORT const char* cudaGetErrorString(cudaError_t e) {
  for (auto& x : k_errors)
    if (x.e == e) return x.text;
  return "unrecognized error code";
}
EXPORT cudaError_t cudaGetLastError() {
  Lock l(big_lock());
  if (config().devices && sticky_error(tls_device)) return static_cast<cudaError_t>(sticky_error(tls_device));
  cudaError_t e = tls_error;
  tls_error = cudaSuccess;
  return e;
}
EXPORT cudaError_t cudaPeekAtLastError() {
  Lock l(big_lock());
  if (config().devices && sticky_error(tls_device)) return static_cast<cudaError_t>(sticky_error(tls_device));
  return tls_error;
}

// ---------------------------------------------------------------- devices

EXPORT cudaError_t cudaGetDeviceCount(int* n) {
  Lock l(big_lock());
  if (!n) return fail(cudaErrorInvalidValue);
  if (cudaError_t e = injected("cudaGetDeviceCount")) return fail(e);
  *n = config().devices;
  return *n ? cudaSuccess : fail(cudaErrorNoDevice);
}
EXPORT cudaError_t cudaSetDevice(int d) {
  API_ANY(cudaSetDevice);
  if (d < 0 || d >= config().devices) return fail(cudaErrorInvalidDevice);
  tls_device = d;
  return sticky_error(d) ? fail(static_cast<cudaError_t>(sticky_error(d))) : cudaSuccess;
}
EXPORT cudaError_t cudaInitDevice(int d, unsigned, unsigned) {
  API_ANY(cudaInitDevice);
  return d < 0 || d >= config().devices ? fail(cudaErrorInvalidDevice) : cudaSuccess;
}
EXPORT cudaError_t cudaGetDevice(int* d) {
  API_ANY(cudaGetDevice);
  if (!d) return fail(cudaErrorInvalidValue);
  *d = tls_device;
  return cudaSuccess;
}
EXPORT cudaError_t cudaGetDeviceFlags(unsigned* f) {
  API_ANY(cudaGetDeviceFlags);
  *f = 0;
  return cudaSuccess;
}
EXPORT cudaError_t cudaSetDeviceFlags(unsigned) {
  API_ANY(cudaSetDeviceFlags);
  return cudaSuccess;
}
EXPORT cudaError_t cudaSetValidDevices(int*, int) {
  API_ANY(cudaSetValidDevices);
  return cudaSuccess;
}
EXPORT cudaError_t cudaChooseDevice(int* d, const cudaDeviceProp*) {
  API_ANY(cudaChooseDevice);
  *d = 0;
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceSynchronize() {
  API(cudaDeviceSynchronize);
  NO_CAPTURE();
  sync_device(tls_device);
  return fail(static_cast<cudaError_t>(sticky_error(tls_device)));
}
EXPORT cudaError_t cudaDeviceReset() {
  API_ANY(cudaDeviceReset);
  drop_queued(tls_device);
  set_sticky(tls_device, 0);
  mem::release_all(tls_device);
  tls_error = cudaSuccess;
  return cudaSuccess;
}
EXPORT cudaError_t cudaDriverGetVersion(int* v) {
  Lock l(big_lock());
  *v = config().devices ? 13000 : 0;
  return cudaSuccess;
}
EXPORT cudaError_t cudaRuntimeGetVersion(int* v) {
  Lock l(big_lock());
  *v = 13000;
  return cudaSuccess;
}

static int attribute(cudaDeviceAttr a, int dev) {
  switch (a) {
    case cudaDevAttrMaxThreadsPerBlock:
      return 1024;
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
      return 1024;
    case cudaDevAttrMaxBlockDimZ:
      return 64;
    case cudaDevAttrMaxGridDimX:
      return 0x7fffffff;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
      return 65535;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return 49152;
    case cudaDevAttrTotalConstantMemory:
      return 65536;
    case cudaDevAttrWarpSize:
      return 32;
    case cudaDevAttrMaxPitch:
      return 0x7fffffff;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return 65536;
    case cudaDevAttrClockRate:
      return 1980000;
    case cudaDevAttrMemoryClockRate:
      return 3201000;
    case cudaDevAttrTextureAlignment:
      return 512;
    case cudaDevAttrTexturePitchAlignment:
      return 32;
    case cudaDevAttrSurfaceAlignment:
      return 512;
    case cudaDevAttrGpuOverlap:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrCanMapHostMemory:
      return 1;
    case cudaDevAttrMultiProcessorCount:
      return 132;
    case cudaDevAttrAsyncEngineCount:
      return 3;
    case cudaDevAttrGlobalMemoryBusWidth:
      return 6144;
    case cudaDevAttrL2CacheSize:
      return 62914560;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return 2048;
    case cudaDevAttrComputeCapabilityMajor:
      return 9;
    case cudaDevAttrComputeCapabilityMinor:
      return 0;
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrGlobalL1CacheSupported:
    case cudaDevAttrLocalL1CacheSupported:
      return 1;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return 233472;
    case cudaDevAttrManagedMemory:
      return 1;
    case cudaDevAttrPciBusId:
      return dev + 1;
    case cudaDevAttrSingleToDoublePrecisionPerfRatio:
      return 2;
    case cudaDevAttrComputePreemptionSupported:
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
    case cudaDevAttrCooperativeLaunch:
      return 1;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return 232448;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return 1024;
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrMemoryPoolsSupported:
      return 1;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return 32;
    default:
      return 0;
  }
}
EXPORT cudaError_t cudaDeviceGetAttribute(int* v, cudaDeviceAttr a, int d) {
  API_ANY(cudaDeviceGetAttribute);
  if (!v) return fail(cudaErrorInvalidValue);
  if (d < 0 || d >= config().devices) return fail(cudaErrorInvalidDevice);
  *v = attribute(a, d);
  return cudaSuccess;
}
EXPORT cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int d) {
  API_ANY(cudaGetDeviceProperties);
  if (!p) return fail(cudaErrorInvalidValue);
  if (d < 0 || d >= config().devices) return fail(cudaErrorInvalidDevice);
  memset(p, 0, sizeof *p);
  strcpy(p->name, "ptxrun (CPU)");
  memcpy(p->uuid.bytes, "ptxrun-device-0", 16);
  p->uuid.bytes[14] = char('0' + d);
  p->totalGlobalMem = mem::total();
  p->sharedMemPerBlock = 49152;
  p->regsPerBlock = 65536;
  p->warpSize = 32;
  p->memPitch = 0x7fffffff;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 0x7fffffff;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->totalConstMem = 65536;
  p->major = 9;
  p->minor = 0;
  p->textureAlignment = 512;
  p->texturePitchAlignment = 32;
  p->multiProcessorCount = 132;
  p->canMapHostMemory = 1;
  p->surfaceAlignment = 512;
  p->concurrentKernels = 1;
  p->pciBusID = d + 1;
  p->asyncEngineCount = 3;
  p->unifiedAddressing = 1;
  p->memoryBusWidth = 6144;
  p->l2CacheSize = 62914560;
  p->maxThreadsPerMultiProcessor = 2048;
  p->streamPrioritiesSupported = p->globalL1CacheSupported = p->localL1CacheSupported = 1;
  p->sharedMemPerMultiprocessor = 233472;
  p->regsPerMultiprocessor = 65536;
  p->managedMemory = 1;
  p->computePreemptionSupported = p->canUseHostPointerForRegisteredMem = p->cooperativeLaunch = 1;
  p->sharedMemPerBlockOptin = 232448;
  p->maxBlocksPerMultiProcessor = 32;
  p->reservedSharedMemPerBlock = 1024;
  p->hostRegisterSupported = 1;
  p->memoryPoolsSupported = 1;
  p->hostNumaId = -1;
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceGetPCIBusId(char* s, int n, int d) {
  API_ANY(cudaDeviceGetPCIBusId);
  snprintf(s, size_t(n), "0000:%02x:00.0", d + 1);
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceGetByPCIBusId(int* d, const char* s) {
  API_ANY(cudaDeviceGetByPCIBusId);
  for (int i = 0; i < config().devices; i++)
    if (strf("0000:%02x:00.0", i + 1) == s) {
      *d = i;
      return cudaSuccess;
    }
  return fail(cudaErrorInvalidDevice);
}
EXPORT cudaError_t cudaDeviceGetStreamPriorityRange(int* lo, int* hi) {
  API_ANY(cudaDeviceGetStreamPriorityRange);
  if (lo) *lo = 0;
  if (hi) *hi = -5;
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceCanAccessPeer(int* v, int a, int b) {
  API_ANY(cudaDeviceCanAccessPeer);
  *v = a != b && a >= 0 && b >= 0 && a < config().devices && b < config().devices;
  return cudaSuccess;
}
static std::set<std::pair<int, int>>& peers() {
  static auto* p = new std::set<std::pair<int, int>>;
  return *p;
}
bool ptxrun::peer_enabled(int from, int to) { return peers().count({from, to}) > 0; }
EXPORT cudaError_t cudaDeviceEnablePeerAccess(int d, unsigned) {
  API_ANY(cudaDeviceEnablePeerAccess);
  if (d < 0 || d >= config().devices || d == tls_device) return fail(cudaErrorInvalidDevice);
  return peers().insert({tls_device, d}).second ? cudaSuccess : fail(cudaErrorPeerAccessAlreadyEnabled);
}
EXPORT cudaError_t cudaDeviceDisablePeerAccess(int d) {
  API_ANY(cudaDeviceDisablePeerAccess);
  return peers().erase({tls_device, d}) ? cudaSuccess : fail(cudaErrorPeerAccessNotEnabled);
}
EXPORT cudaError_t cudaDeviceGetP2PAttribute(int* v, cudaDeviceP2PAttr, int, int) {
  API_ANY(cudaDeviceGetP2PAttribute);
  *v = 1;
  return cudaSuccess;
}
static size_t limits[16] = {1024, 1048576, 8388608, 2, 2048, 128, 0};
EXPORT cudaError_t cudaDeviceGetLimit(size_t* v, cudaLimit l) {
  API_ANY(cudaDeviceGetLimit);
  *v = limits[unsigned(l) & 15];
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceSetLimit(cudaLimit l, size_t v) {
  API_ANY(cudaDeviceSetLimit);
  limits[unsigned(l) & 15] = v;
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceGetCacheConfig(cudaFuncCache* c) {
  API_ANY(cudaDeviceGetCacheConfig);
  *c = cudaFuncCachePreferNone;
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache) {
  API_ANY(cudaDeviceSetCacheConfig);
  return cudaSuccess;
}
EXPORT cudaError_t cudaCtxResetPersistingL2Cache() {
  API_ANY(cudaCtxResetPersistingL2Cache);
  return cudaSuccess;
}
EXPORT cudaError_t cudaProfilerStart() { return cudaSuccess; }
EXPORT cudaError_t cudaProfilerStop() { return cudaSuccess; }
EXPORT cudaError_t cudaGetDriverEntryPointByVersion(const char*, void** f, unsigned, unsigned long long,
                                                    cudaDriverEntryPointQueryResult* r) {
  API_ANY(cudaGetDriverEntryPointByVersion);
  if (f) *f = nullptr;
  if (r) *r = cudaDriverEntryPointSymbolNotFound;
  return r ? cudaSuccess : fail(cudaErrorSymbolNotFound);
}
EXPORT cudaError_t cudaGetDriverEntryPoint(const char* s, void** f, unsigned long long fl,
                                           cudaDriverEntryPointQueryResult* r) {
  return cudaGetDriverEntryPointByVersion(s, f, 0, fl, r);
}
EXPORT cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* m) {
  API_ANY(cudaThreadExchangeStreamCaptureMode);
  std::swap(*m, tls_capture_mode);
  return cudaSuccess;
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

// ---------------------------------------------------------------- allocation

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

// ---------------------------------------------------------------- copies and fills

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
