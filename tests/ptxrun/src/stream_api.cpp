// Streams, events, host functions.
#include <algorithm>
#include <cstring>
#include <map>

#include "runtime.h"

using namespace ptxrun;

namespace {
Event* ev(cudaEvent_t e) { return reinterpret_cast<Event*>(e); }
std::map<Event*, std::shared_ptr<Event>>& events() {
  static auto* s = new std::map<Event*, std::shared_ptr<Event>>;
  return *s;
}
}  // namespace

// ---------------------------------------------------------------- streams

EXPORT cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned flags, int prio) {
  API(cudaStreamCreateWithPriority);
  if (!s || (flags & ~cudaStreamNonBlocking)) return fail(cudaErrorInvalidValue);
  *s = reinterpret_cast<cudaStream_t>(create_stream(tls_device, flags, std::clamp(prio, -5, 0)));
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamCreate(cudaStream_t* s) {
  API(cudaStreamCreate);
  if (!s) return fail(cudaErrorInvalidValue);
  *s = reinterpret_cast<cudaStream_t>(create_stream(tls_device, 0, 0));
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned flags) {
  API(cudaStreamCreateWithFlags);
  if (!s || (flags & ~cudaStreamNonBlocking)) return fail(cudaErrorInvalidValue);
  *s = reinterpret_cast<cudaStream_t>(create_stream(tls_device, flags, 0));
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamDestroy(cudaStream_t s) {
  API_ANY(cudaStreamDestroy);
  Stream* p = to_stream(s);
  if (!p || p->is_default) return fail(cudaErrorInvalidResourceHandle);
  destroy_stream(p);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  API(cudaStreamSynchronize);
  STREAM(p, s);
  if (p->capture) {
    p->capture->invalid = true;
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  sync_stream(p);
  return fail(static_cast<cudaError_t>(sticky_error(p->device)));
}
EXPORT cudaError_t cudaStreamSynchronize_ptsz(cudaStream_t s) {
  return cudaStreamSynchronize(s ? s : cudaStreamPerThread);
}
EXPORT cudaError_t cudaStreamQuery(cudaStream_t s) {
  API(cudaStreamQuery);
  STREAM(p, s);
  if (p->capture) {
    p->capture->invalid = true;
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  if (stream_idle(p)) return cudaSuccess;
  step_some(p->device);
  return cudaErrorNotReady;
}
EXPORT cudaError_t cudaStreamGetFlags(cudaStream_t s, unsigned* f) {
  API(cudaStreamGetFlags);
  STREAM(p, s);
  *f = p->flags;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamGetPriority(cudaStream_t s, int* v) {
  API(cudaStreamGetPriority);
  STREAM(p, s);
  *v = p->priority;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamGetId(cudaStream_t s, unsigned long long* v) {
  API(cudaStreamGetId);
  STREAM(p, s);
  *v = p->id;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamGetDevice(cudaStream_t s, int* v) {
  API(cudaStreamGetDevice);
  STREAM(p, s);
  *v = p->device;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamSetAttribute(cudaStream_t, cudaStreamAttrID, const cudaStreamAttrValue*) {
  API(cudaStreamSetAttribute);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamGetAttribute(cudaStream_t, cudaStreamAttrID, cudaStreamAttrValue* v) {
  API(cudaStreamGetAttribute);
  memset(v, 0, sizeof *v);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamAttachMemAsync(cudaStream_t, void*, size_t, unsigned) {
  API(cudaStreamAttachMemAsync);
  return cudaSuccess;
}

static cudaError_t host_func(Stream* p, cudaHostFn_t f, void* u) {
  if (p->capture && p->capture->invalid) return cudaErrorStreamCaptureInvalidated;
  Work w;
  w.type = NodeType::Host;
  w.device = p->device;
  w.host.fn = f;
  w.host.userData = u;
  w.fn = [f, u] { f(u); };
  enqueue(p, std::move(w));
  return cudaSuccess;
}
EXPORT cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t f, void* u) {
  API(cudaLaunchHostFunc);
  STREAM(p, s);
  if (!f) return fail(cudaErrorInvalidValue);
  return fail(host_func(p, f, u));
}
EXPORT cudaError_t cudaStreamAddCallback(cudaStream_t s, cudaStreamCallback_t f, void* u, unsigned) {
  API(cudaStreamAddCallback);
  STREAM(p, s);
  if (p->capture) return fail(cudaErrorStreamCaptureUnsupported);
  Work w;
  w.type = NodeType::Host;
  w.device = p->device;
  w.fn = [s, f, u] { f(s, cudaSuccess, u); };
  enqueue(p, std::move(w));
  return cudaSuccess;
}

// ---------------------------------------------------------------- events

EXPORT cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned flags) {
  API(cudaEventCreate);
  if (!e) return fail(cudaErrorInvalidValue);
  auto x = std::make_shared<Event>();
  x->flags = flags;
  x->device = tls_device;
  events()[x.get()] = x;
  *e = reinterpret_cast<cudaEvent_t>(x.get());
  return cudaSuccess;
}
EXPORT cudaError_t cudaEventCreate(cudaEvent_t* e) { return cudaEventCreateWithFlags(e, 0); }
#define EVENT(x, e) \
  Event* x = ev(e); \
  if (!events().count(x)) return fail(cudaErrorInvalidResourceHandle)
EXPORT cudaError_t cudaEventDestroy(cudaEvent_t e) {
  API_ANY(cudaEventDestroy);
  EVENT(x, e);
  events().erase(x);  // a pending operation keeps it
  return cudaSuccess;
}
EXPORT cudaError_t cudaEventRecordWithFlags(cudaEvent_t e, cudaStream_t s, unsigned flags) {
  API(cudaEventRecord);
  EVENT(x, e);
  STREAM(p, s);
  if (x->device != p->device) return fail(cudaErrorInvalidResourceHandle);
  x->recorded = true;
  if (p->capture) {
    if (p->capture->invalid) return fail(cudaErrorStreamCaptureInvalidated);
    if (flags & cudaEventRecordExternal) {
      Work w;
      w.type = NodeType::EventRecord;
      w.device = p->device;
      w.fn = [x = events()[x]] { x->time = now_ms(); };
      enqueue(p, std::move(w));
      return cudaSuccess;
    }
    x->capture = p->capture;
    x->nodes = p->frontier;
    x->op.reset();
    return cudaSuccess;
  }
  x->capture = nullptr;
  x->nodes.clear();
  Work w;
  w.type = NodeType::EventRecord;
  w.device = p->device;
  w.fn = [x = events()[x]] { x->time = now_ms(); };
  x->op = enqueue(p, std::move(w));
  return cudaSuccess;
}
EXPORT cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) { return cudaEventRecordWithFlags(e, s, 0); }
EXPORT cudaError_t cudaEventRecord_ptsz(cudaEvent_t e, cudaStream_t s) {
  return cudaEventRecordWithFlags(e, s ? s : cudaStreamPerThread, 0);
}
EXPORT cudaError_t cudaEventQuery(cudaEvent_t e) {
  API(cudaEventQuery);
  EVENT(x, e);
  if (x->capture && captures().count(x->capture)) return fail(cudaErrorCapturedEvent);
  if (!x->op || x->op->done) return cudaSuccess;
  step_some(x->device);
  return cudaErrorNotReady;
}
EXPORT cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  API(cudaEventSynchronize);
  EVENT(x, e);
  if (x->capture && captures().count(x->capture)) return fail(cudaErrorCapturedEvent);
  if (x->op) force(x->op);
  return fail(static_cast<cudaError_t>(sticky_error(x->device)));
}
EXPORT cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t a, cudaEvent_t b) {
  API(cudaEventElapsedTime);
  EVENT(x, a);
  EVENT(y, b);
  if (!ms || ((x->flags | y->flags) & cudaEventDisableTiming) || !x->recorded || !y->recorded)
    return fail(cudaErrorInvalidResourceHandle);
  if ((x->op && !x->op->done) || (y->op && !y->op->done)) return fail(cudaErrorNotReady);
  *ms = float(y->time - x->time);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
  API(cudaStreamWaitEvent);
  STREAM(p, s);
  EVENT(x, e);
  if (x->capture && captures().count(x->capture)) {
    if (p->is_default) {
      x->capture->invalid = true;
      return fail(cudaErrorStreamCaptureImplicit);
    }
    if (p->capture && p->capture != x->capture) {
      p->capture->invalid = x->capture->invalid = true;
      return fail(cudaErrorStreamCaptureMerge);
    }
    if (!p->capture) {
      p->capture = x->capture;
      p->capture->members.insert(p);
      p->frontier.clear();
    }
    for (auto* n : x->nodes)
      if (std::find(p->frontier.begin(), p->frontier.end(), n) == p->frontier.end()) p->frontier.push_back(n);
    return cudaSuccess;
  }
  if (p->capture) {
    if (x->recorded && (x->op || config().async)) {
      p->capture->invalid = true;
      return fail(cudaErrorStreamCaptureIsolation);
    }
    if (x->recorded) {
      p->capture->invalid = true;
      return fail(cudaErrorStreamCaptureIsolation);
    }
    return cudaSuccess;
  }
  if (x->op && !x->op->done) p->waits.push_back(x->op);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamWaitEvent_ptsz(cudaStream_t s, cudaEvent_t e, unsigned f) {
  return cudaStreamWaitEvent(s ? s : cudaStreamPerThread, e, f);
}
