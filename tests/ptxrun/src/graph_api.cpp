// Capture and graphs.
#include <pthread.h>

#include <algorithm>
#include <cstring>

#include "runtime.h"

namespace ptxrun {

std::set<Capture*>& captures() {
  static auto* s = new std::set<Capture*>;
  return *s;
}

}  // namespace ptxrun

using namespace ptxrun;

namespace {
Graph* gr(cudaGraph_t g) { return reinterpret_cast<Graph*>(g); }
Node* nd(cudaGraphNode_t n) { return reinterpret_cast<Node*>(n); }
GraphExec* gx(cudaGraphExec_t g) { return reinterpret_cast<GraphExec*>(g); }
uint64_t next_capture = 1;
std::map<Graph*, std::shared_ptr<Graph>>& graphs() {
  static auto* m = new std::map<Graph*, std::shared_ptr<Graph>>;
  return *m;
}
Graph* new_graph() {
  auto g = std::make_shared<Graph>();
  graphs()[g.get()] = g;
  return g.get();
}
std::vector<Node*> dep_list(const cudaGraphNode_t* d, size_t n) {
  std::vector<Node*> v;
  for (size_t i = 0; i < n; i++) v.push_back(nd(d[i]));
  return v;
}
}  // namespace

// ---------------------------------------------------------------- capture

static cudaError_t begin_capture(Stream* p, cudaStreamCaptureMode mode, Graph* into) {
  if (p->is_default) return cudaErrorStreamCaptureUnsupported;
  if (p->capture) return cudaErrorIllegalState;
  auto* c = new Capture;
  c->graph = into ? into : new_graph();
  c->owned = !into;
  c->mode = mode;
  c->origin = p;
  c->id = next_capture++;
  c->thread = static_cast<unsigned long>(pthread_self());
  c->members.insert(p);
  captures().insert(c);
  p->capture = c;
  p->frontier.clear();
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode) {
  API(cudaStreamBeginCapture);
  STREAM(p, s);
  return fail(begin_capture(p, mode, nullptr));
}
EXPORT cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t s, cudaGraph_t g, const cudaGraphNode_t* d,
                                                 const cudaGraphEdgeData*, size_t n, cudaStreamCaptureMode mode) {
  API(cudaStreamBeginCaptureToGraph);
  STREAM(p, s);
  if (auto e = begin_capture(p, mode, gr(g))) return fail(e);
  p->frontier = dep_list(d, n);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* out) {
  API(cudaStreamEndCapture);
  STREAM(p, s);
  Capture* c = p->capture;
  if (out) *out = nullptr;
  if (!c) return fail(cudaErrorIllegalState);
  if (c->origin != p) {
    c->invalid = true;
    return fail(cudaErrorStreamCaptureUnmatched);
  }
  if (c->mode != cudaStreamCaptureModeRelaxed && c->thread != static_cast<unsigned long>(pthread_self()))
    return fail(cudaErrorStreamCaptureWrongThread);
  // Every node must be reachable from the origin's last nodes.
  std::set<Node*> reach;
  std::vector<Node*> todo = p->frontier;
  while (!todo.empty()) {
    Node* n = todo.back();
    todo.pop_back();
    if (!reach.insert(n).second) continue;
    for (auto* d : n->deps) todo.push_back(d);
  }
  bool unjoined = false;
  for (auto* m : c->members) {
    if (m == p) continue;
    for (auto* n : m->frontier) unjoined |= !reach.count(n);
  }
  cudaError_t e = c->invalid ? cudaErrorStreamCaptureInvalidated
                  : unjoined ? cudaErrorStreamCaptureUnjoined
                             : cudaSuccess;
  for (auto* m : c->members) {
    m->capture = nullptr;
    m->frontier.clear();
  }
  Graph* g = c->graph;
  bool owned = c->owned;
  captures().erase(c);
  delete c;
  if (e) {
    if (owned) graphs().erase(g);
    return fail(e);
  }
  if (out) *out = reinterpret_cast<cudaGraph_t>(g);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* st) {
  API(cudaStreamIsCapturing);
  STREAM(p, s);
  if (p->is_default && capture_forbids()) return fail(cudaErrorStreamCaptureImplicit);
  *st = !p->capture           ? cudaStreamCaptureStatusNone
        : p->capture->invalid ? cudaStreamCaptureStatusInvalidated
                              : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamIsCapturing_ptsz(cudaStream_t s, cudaStreamCaptureStatus* st) {
  return cudaStreamIsCapturing(s ? s : cudaStreamPerThread, st);
}
EXPORT cudaError_t cudaStreamGetCaptureInfo(cudaStream_t s, cudaStreamCaptureStatus* st, unsigned long long* id,
                                            cudaGraph_t* g, const cudaGraphNode_t** deps,
                                            const cudaGraphEdgeData** edges, size_t* n) {
  API(cudaStreamGetCaptureInfo);
  STREAM(p, s);
  if (st)
    *st = !p->capture           ? cudaStreamCaptureStatusNone
          : p->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                : cudaStreamCaptureStatusActive;
  if (p->capture) {
    if (id) *id = p->capture->id;
    if (g) *g = reinterpret_cast<cudaGraph_t>(p->capture->graph);
    if (deps) *deps = reinterpret_cast<const cudaGraphNode_t*>(p->frontier.data());
    if (edges) *edges = nullptr;
    if (n) *n = p->frontier.size();
  }
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t s, cudaGraphNode_t* d, const cudaGraphEdgeData*,
                                                       size_t n, unsigned flags) {
  API(cudaStreamUpdateCaptureDependencies);
  STREAM(p, s);
  if (!p->capture) return fail(cudaErrorIllegalState);
  auto v = dep_list(d, n);
  if (flags == cudaStreamSetCaptureDependencies)
    p->frontier = v;
  else
    p->frontier.insert(p->frontier.end(), v.begin(), v.end());
  return cudaSuccess;
}

// ---------------------------------------------------------------- graphs

EXPORT cudaError_t cudaGraphCreate(cudaGraph_t* g, unsigned) {
  API(cudaGraphCreate);
  *g = reinterpret_cast<cudaGraph_t>(new_graph());
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphDestroy(cudaGraph_t g) {
  API_ANY(cudaGraphDestroy);
  return graphs().erase(gr(g)) ? cudaSuccess : fail(cudaErrorInvalidValue);
}
#define GRAPH(x, g) \
  Graph* x = gr(g); \
  if (!graphs().count(x)) return fail(cudaErrorInvalidValue)
static cudaError_t add_node(cudaGraphNode_t* out, Graph* g, const cudaGraphNode_t* d, size_t n, Work w) {
  Node* x = g->add(std::move(w), dep_list(d, n));
  if (out) *out = reinterpret_cast<cudaGraphNode_t>(x);
  return cudaSuccess;
}
static cudaError_t kernel_work(const cudaKernelNodeParams* p, Work& w) {
  std::shared_ptr<LaunchDesc> d;
  if (cudaError_t e = prepare_launch(p->func, p->gridDim, p->blockDim, p->kernelParams, p->sharedMemBytes, d)) return e;
  w.type = NodeType::Kernel;
  w.device = tls_device;
  w.launch = d;
  w.func = p->func;
  w.fn = [d] { run_kernel(*d); };
  return cudaSuccess;
}
static Work memset_work(const cudaMemsetParams* p) {
  Work w;
  w.type = NodeType::Memset;
  w.device = tls_device;
  w.set.dst = reinterpret_cast<uint64_t>(p->dst);
  w.set.pitch = p->pitch;
  w.set.width = p->width;
  w.set.height = p->height;
  w.set.value = p->value;
  w.set.elem = p->elementSize;
  w.fn = [d = w.set] { set_now(d); };
  return w;
}
static Work copy_work(const CopyDesc& c) {
  Work w;
  w.type = NodeType::Memcpy;
  w.device = tls_device;
  w.copy = c;
  w.fn = [c] { copy_now(c); };
  return w;
}
static CopyDesc copy_of(void* d, const void* s, size_t n) {
  CopyDesc c;
  c.dst = reinterpret_cast<uint64_t>(d);
  c.src = reinterpret_cast<uint64_t>(s);
  c.width = n;
  return c;
}
static Work host_work(const cudaHostNodeParams* p) {
  Work w;
  w.type = NodeType::Host;
  w.device = tls_device;
  w.host = *p;
  w.fn = [q = *p] { q.fn(q.userData); };
  return w;
}
EXPORT cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* o, cudaGraph_t g, const cudaGraphNode_t* d, size_t n,
                                          const cudaKernelNodeParams* p) {
  API(cudaGraphAddKernelNode);
  GRAPH(x, g);
  Work w;
  if (cudaError_t e = kernel_work(p, w)) return fail(e);
  return add_node(o, x, d, n, std::move(w));
}
EXPORT cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t* o, cudaGraph_t g, const cudaGraphNode_t* d, size_t n,
                                          const cudaMemsetParams* p) {
  API(cudaGraphAddMemsetNode);
  GRAPH(x, g);
  return add_node(o, x, d, n, memset_work(p));
}
EXPORT cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* o, cudaGraph_t g, const cudaGraphNode_t* d, size_t n,
                                            void* dst, const void* src, size_t c, cudaMemcpyKind) {
  API(cudaGraphAddMemcpyNode1D);
  GRAPH(x, g);
  return add_node(o, x, d, n, copy_work(copy_of(dst, src, c)));
}
EXPORT cudaError_t cudaGraphAddHostNode(cudaGraphNode_t* o, cudaGraph_t g, const cudaGraphNode_t* d, size_t n,
                                        const cudaHostNodeParams* p) {
  API(cudaGraphAddHostNode);
  GRAPH(x, g);
  return add_node(o, x, d, n, host_work(p));
}
EXPORT cudaError_t cudaGraphAddEmptyNode(cudaGraphNode_t* o, cudaGraph_t g, const cudaGraphNode_t* d, size_t n) {
  API(cudaGraphAddEmptyNode);
  GRAPH(x, g);
  return add_node(o, x, d, n, Work{});
}
static void run_graph_nodes(const std::vector<Work>& works, const std::vector<std::vector<size_t>>& deps);
static void flatten(Graph* g, GraphExec& x) {
  auto ord = g->order();
  std::map<Node*, size_t> at;
  for (auto* n : ord) {
    std::vector<size_t> d;
    for (auto* p : n->deps) d.push_back(at[p]);
    at[n] = x.works.size();
    x.originals.push_back(n);
    x.works.push_back(n->work);
    x.deps.push_back(d);
  }
}
EXPORT cudaError_t cudaGraphAddChildGraphNode(cudaGraphNode_t* o, cudaGraph_t g, const cudaGraphNode_t* d, size_t n,
                                              cudaGraph_t c) {
  API(cudaGraphAddChildGraphNode);
  GRAPH(x, g);
  GRAPH(y, c);
  GraphExec sub;
  flatten(y, sub);
  Work w;
  w.type = NodeType::Child;
  w.device = tls_device;
  w.child = graphs()[y];
  w.fn = [sub] { run_graph_nodes(sub.works, sub.deps); };
  return add_node(o, x, d, n, std::move(w));
}
EXPORT cudaError_t cudaGraphAddDependencies(cudaGraph_t, const cudaGraphNode_t* from, const cudaGraphNode_t* to,
                                            const cudaGraphEdgeData*, size_t n) {
  API(cudaGraphAddDependencies);
  for (size_t i = 0; i < n; i++) nd(to[i])->deps.push_back(nd(from[i]));
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t* v, size_t* n) {
  API(cudaGraphGetNodes);
  GRAPH(x, g);
  if (v)
    for (size_t i = 0; i < *n && i < x->nodes.size(); i++) v[i] = reinterpret_cast<cudaGraphNode_t>(x->nodes[i].get());
  *n = v ? std::min(*n, x->nodes.size()) : x->nodes.size();
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphGetRootNodes(cudaGraph_t g, cudaGraphNode_t* v, size_t* n) {
  API(cudaGraphGetRootNodes);
  GRAPH(x, g);
  size_t k = 0;
  for (auto& q : x->nodes)
    if (q->deps.empty()) {
      if (v && k < *n) v[k] = reinterpret_cast<cudaGraphNode_t>(q.get());
      k++;
    }
  *n = k;
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphNodeGetType(cudaGraphNode_t n, cudaGraphNodeType* t) {
  API(cudaGraphNodeGetType);
  switch (nd(n)->work.type) {
    case NodeType::Kernel:
      *t = cudaGraphNodeTypeKernel;
      break;
    case NodeType::Memcpy:
      *t = cudaGraphNodeTypeMemcpy;
      break;
    case NodeType::Memset:
      *t = cudaGraphNodeTypeMemset;
      break;
    case NodeType::Host:
      *t = cudaGraphNodeTypeHost;
      break;
    case NodeType::Child:
      *t = cudaGraphNodeTypeGraph;
      break;
    case NodeType::EventRecord:
      *t = cudaGraphNodeTypeEventRecord;
      break;
    case NodeType::EventWait:
      *t = cudaGraphNodeTypeWaitEvent;
      break;
    case NodeType::MemAlloc:
      *t = cudaGraphNodeTypeMemAlloc;
      break;
    case NodeType::MemFree:
      *t = cudaGraphNodeTypeMemFree;
      break;
    default:
      *t = cudaGraphNodeTypeEmpty;
      break;
  }
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t n, cudaGraphNode_t* v, cudaGraphEdgeData*, size_t* c) {
  API(cudaGraphNodeGetDependencies);
  auto& d = nd(n)->deps;
  if (v)
    for (size_t i = 0; i < *c && i < d.size(); i++) v[i] = reinterpret_cast<cudaGraphNode_t>(d[i]);
  *c = d.size();
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t n, cudaKernelNodeParams* p) {
  API(cudaGraphKernelNodeGetParams);
  Work& w = nd(n)->work;
  if (w.type != NodeType::Kernel) return fail(cudaErrorInvalidValue);
  *p = cudaKernelNodeParams{};
  p->func = const_cast<void*>(w.func);
  p->gridDim = dim3(w.launch->grid[0], w.launch->grid[1], w.launch->grid[2]);
  p->blockDim = dim3(w.launch->block[0], w.launch->block[1], w.launch->block[2]);
  p->sharedMemBytes = w.launch->dyn_shared;
  static thread_local std::vector<void*> ptrs;
  ptrs.clear();
  for (auto& q : w.launch->kernel->params) ptrs.push_back(w.launch->params.data() + q.offset);
  p->kernelParams = ptrs.data();
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t n, const cudaKernelNodeParams* p) {
  API(cudaGraphKernelNodeSetParams);
  return fail(kernel_work(p, nd(n)->work));
}

EXPORT cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t g, unsigned long long) {
  API(cudaGraphInstantiate);
  GRAPH(x, g);
  auto* e = new GraphExec;
  flatten(x, *e);
  if (e->works.size() != x->nodes.size()) {
    delete e;
    return fail(cudaErrorInvalidValue);
  }
  *out = reinterpret_cast<cudaGraphExec_t>(e);
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* o, cudaGraph_t g, unsigned long long f) {
  return cudaGraphInstantiate(o, g, f);
}
EXPORT cudaError_t cudaGraphInstantiateWithParams(cudaGraphExec_t* o, cudaGraph_t g, cudaGraphInstantiateParams*) {
  return cudaGraphInstantiate(o, g, 0);
}
EXPORT cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) {
  API_ANY(cudaGraphExecDestroy);
  delete gx(e);  // launches have copies of their own
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  API(cudaGraphUpload);
  return cudaSuccess;
}

// Nodes in an order that respects the edges; in asynchronous mode a random one.
static void run_graph_nodes(const std::vector<Work>& works, const std::vector<std::vector<size_t>>& deps) {
  static Rng rng(config().seed + 17);
  std::vector<bool> done(works.size());
  for (size_t left = works.size(); left; left--) {
    std::vector<size_t> ready;
    for (size_t i = 0; i < works.size(); i++) {
      if (done[i]) continue;
      bool ok = true;
      for (auto d : deps[i]) ok = ok && done[d];
      if (ok) {
        ready.push_back(i);
        if (!config().async) break;
      }
    }
    size_t i = ready[config().async ? rng.below(uint32_t(ready.size())) : 0];
    done[i] = true;
    if (works[i].fn && works[i].enabled) works[i].fn();
  }
}
EXPORT cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s) {
  API(cudaGraphLaunch);
  STREAM(p, s);
  GraphExec* x = gx(e);
  Work w;
  w.type = NodeType::Child;
  w.device = p->device;
  auto works = std::make_shared<std::vector<Work>>(x->works);
  auto deps = std::make_shared<std::vector<std::vector<size_t>>>(x->deps);
  w.fn = [works, deps] { run_graph_nodes(*works, *deps); };
  enqueue(p, std::move(w));
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphLaunch_ptsz(cudaGraphExec_t e, cudaStream_t s) {
  return cudaGraphLaunch(e, s ? s : cudaStreamPerThread);
}
static Work* exec_work(cudaGraphExec_t e, cudaGraphNode_t n) {
  GraphExec* x = gx(e);
  for (size_t i = 0; i < x->originals.size(); i++)
    if (x->originals[i] == nd(n)) return &x->works[i];
  return nullptr;
}
EXPORT cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t n,
                                                    const cudaKernelNodeParams* p) {
  API(cudaGraphExecKernelNodeSetParams);
  Work* w = exec_work(e, n);
  return fail(w ? kernel_work(p, *w) : cudaErrorInvalidValue);
}
EXPORT cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t e, cudaGraphNode_t n, void* d, const void* s,
                                                      size_t c, cudaMemcpyKind) {
  API(cudaGraphExecMemcpyNodeSetParams1D);
  Work* w = exec_work(e, n);
  if (!w) return fail(cudaErrorInvalidValue);
  *w = copy_work(copy_of(d, s, c));
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t n, const cudaMemsetParams* p) {
  API(cudaGraphExecMemsetNodeSetParams);
  Work* w = exec_work(e, n);
  if (!w) return fail(cudaErrorInvalidValue);
  *w = memset_work(p);
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphExecHostNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t n, const cudaHostNodeParams* p) {
  API(cudaGraphExecHostNodeSetParams);
  Work* w = exec_work(e, n);
  if (!w) return fail(cudaErrorInvalidValue);
  *w = host_work(p);
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphNodeSetEnabled(cudaGraphExec_t e, cudaGraphNode_t n, unsigned v) {
  API(cudaGraphNodeSetEnabled);
  Work* w = exec_work(e, n);
  if (!w) return fail(cudaErrorInvalidValue);
  w->enabled = v;
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphExecUpdate(cudaGraphExec_t e, cudaGraph_t g, cudaGraphExecUpdateResultInfo* r) {
  API(cudaGraphExecUpdate);
  GRAPH(x, g);
  GraphExec n;
  flatten(x, n);
  GraphExec* old = gx(e);
  if (r) memset(r, 0, sizeof *r);
  bool same = n.works.size() == old->works.size() && n.deps == old->deps;
  for (size_t i = 0; same && i < n.works.size(); i++)
    same = n.works[i].type == old->works[i].type &&
           (n.works[i].type != NodeType::Kernel || n.works[i].func == old->works[i].func);
  if (!same) {
    if (r) r->result = cudaGraphExecUpdateErrorTopologyChanged;
    return fail(cudaErrorGraphExecUpdateFailure);
  }
  old->works = n.works;
  if (r) r->result = cudaGraphExecUpdateSuccess;
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphClone(cudaGraph_t* o, cudaGraph_t g) {
  API(cudaGraphClone);
  GRAPH(x, g);
  Graph* c = new_graph();
  std::map<Node*, Node*> m;
  for (auto* n : x->order()) {
    std::vector<Node*> d;
    for (auto* p : n->deps) d.push_back(m[p]);
    Work w = n->work;
    if (w.type == NodeType::MemAlloc) w.allocated = 0;
    m[n] = c->add(w, d);
  }
  *o = reinterpret_cast<cudaGraph_t>(c);
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceGraphMemTrim(int) {
  API(cudaDeviceGraphMemTrim);
  return cudaSuccess;
}
