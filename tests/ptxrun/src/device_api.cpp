// Devices: properties, attributes, limits, peers.
#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "runtime.h"

using namespace ptxrun;

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
  forget_error();
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
