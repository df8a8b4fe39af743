// What every call of the API does first: injected failures, earlier faults, captures; and its errors.
#include <pthread.h>

#include <cstdlib>
#include <map>

#include "runtime.h"

namespace ptxrun {

thread_local int tls_device = 0;
static thread_local cudaError_t tls_error = cudaSuccess;

cudaError_t fail(cudaError_t e) {
  if (e != cudaSuccess && e != cudaErrorNotReady) tls_error = e;
  return e;
}

void forget_error() { tls_error = cudaSuccess; }

// ---------------------------------------------------------------- fault injection

cudaError_t injected(const char* name) {
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

}  // namespace ptxrun

using namespace ptxrun;

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


EXPORT cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* m) {
  API_ANY(cudaThreadExchangeStreamCaptureMode);
  std::swap(*m, tls_capture_mode);
  return cudaSuccess;
}
