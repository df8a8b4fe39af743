// State shared by the parts of the runtime API.
#pragma once
#include <cuda_runtime_api.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "common.h"
#include "exec.h"
#include "memory.h"
#include "ptx.h"
#include "stream.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace ptxrun {

using Lock = std::lock_guard<std::recursive_mutex>;

extern thread_local int tls_device;
cudaError_t fail(cudaError_t e);                          // remembers the error for cudaGetLastError
void forget_error();
cudaError_t injected(const char* name);                   // the failure that PTXRUN_FAIL asks for
cudaError_t enter(const char* name, bool sticky = true);  // fault injection, no device, earlier faults
bool capture_forbids();                                   // an unsafe call while a stream captures

Stream* to_stream(cudaStream_t s);  // null when the handle is not valid
cudaError_t invalidate_capture(Stream* s);
std::set<Capture*>& captures();     // those that have begun and not ended

struct Entry;  // a registered kernel
Entry* find_entry(const void* func);
Kernel* kernel_of(Entry* e);  // null when there is no PTX
const char* entry_name(Entry* e);
cudaError_t prepare_launch(const void* func, dim3 grid, dim3 block, void** args, size_t shmem,
                           std::shared_ptr<LaunchDesc>& out, bool cooperative = false);
uint64_t symbol_address(const void* symbol, size_t* size);

#define API(name)         \
  Lock lock_(big_lock()); \
  if (cudaError_t e_ = enter(#name)) return fail(e_)
#define API_ANY(name)     \
  Lock lock_(big_lock()); \
  if (cudaError_t e_ = enter(#name, false)) return fail(e_)
#define STREAM(p, s)        \
  Stream* p = to_stream(s); \
  if (!p) return fail(cudaErrorInvalidResourceHandle)
#define NO_CAPTURE() \
  if (capture_forbids()) return fail(cudaErrorStreamCaptureUnsupported)

}  // namespace ptxrun
