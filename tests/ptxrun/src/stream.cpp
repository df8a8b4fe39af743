#include "stream.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "common.h"
#include "memory.h"

namespace ptxrun {

namespace {
struct State {
  std::set<Stream*> streams;
  std::map<int, Stream*> defaults;
  std::map<int, int> sticky;
  uint64_t nextId = 1;
  Rng rng{config().seed};
  int depth = 0;
};
State& S() {
  static auto* s = new State;
  return *s;
}
}  // namespace

double nowMs() {
  static auto t0 = std::chrono::steady_clock::now();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - t0).count();
}

Graph::~Graph() {
  for (auto& n : nodes)
    if (n->work.type == NodeType::MemAlloc && n->work.allocated) mem::release(n->work.allocated, false);
}
Node* Graph::add(Work w, const std::vector<Node*>& deps) {
  auto n = std::make_unique<Node>();
  n->graph = this;
  n->work = std::move(w);
  for (auto d : deps)
    if (std::find(n->deps.begin(), n->deps.end(), d) == n->deps.end()) n->deps.push_back(d);
  nodes.push_back(std::move(n));
  return nodes.back().get();
}
std::vector<Node*> Graph::order() const {
  std::vector<Node*> out;
  std::set<Node*> done;
  while (out.size() < nodes.size()) {
    bool any = false;
    for (auto& n : nodes) {
      if (done.count(n.get())) continue;
      bool ready = true;
      for (auto d : n->deps) ready &= done.count(d) > 0;
      if (ready) {
        out.push_back(n.get());
        done.insert(n.get());
        any = true;
      }
    }
    if (!any) break;  // a cycle
  }
  return out;
}

Stream* createStream(int device, unsigned flags, int priority) {
  auto* s = new Stream;
  s->device = device;
  s->flags = flags;
  s->priority = priority;
  s->id = S().nextId++;
  S().streams.insert(s);
  return s;
}
Stream* defaultStream(int device) {
  auto& d = S().defaults[device];
  if (!d) {
    d = createStream(device, 0, 0);
    d->isDefault = true;
  }
  return d;
}
const std::set<Stream*>& allStreams() { return S().streams; }
bool knownStream(Stream* s) { return S().streams.count(s) && !s->destroyed; }
void destroyStream(Stream* s) {
  if (s->queue.empty()) {
    S().streams.erase(s);
    delete s;
  } else
    s->destroyed = true;
}

int stickyError(int d) {
  auto it = S().sticky.find(d);
  return it == S().sticky.end() ? 0 : it->second;
}
void setSticky(int d, int code) {
  if (code) {
    if (!S().sticky[d]) S().sticky[d] = code;
  } else
    S().sticky.erase(d);
}

void runWork(const Work& w) {
  if (stickyError(w.device)) return;
  try {
    if (w.fn) w.fn();
  } catch (const DeviceFault& f) {
    report(f.text);
    setSticky(w.device, f.code);
  }
}

static void execute(const OpPtr& op) {
  op->done = true;  // before it runs: a host function may query
  runWork(op->work);
  op->work.fn = nullptr;
  op->deps.clear();
}

static bool ready(const OpPtr& op) {
  for (auto& d : op->deps)
    if (!d->done) return false;
  return true;
}

static void popHead(Stream* s) {
  OpPtr op = s->queue.front();
  s->queue.pop_front();
  execute(op);
  if (s->last == op) s->last.reset();
  if (s->destroyed && s->queue.empty()) {
    S().streams.erase(s);
    delete s;
  }
}

void stepSome(int device) {
  std::vector<Stream*> r;
  for (auto* s : S().streams)
    if (s->device == device && !s->queue.empty() && ready(s->queue.front())) r.push_back(s);
  std::sort(r.begin(), r.end(), [](Stream* a, Stream* b) { return a->id < b->id; });
  if (!r.empty()) popHead(r[S().rng.below(uint32_t(r.size()))]);
}

void force(const OpPtr& op) {
  if (!op) return;
  while (!op->done) {
    Stream* s = op->stream;
    if (s->queue.empty()) return;  // dropped
    // Seed 0: only what is needed, as late as it can be. Other seeds mix in work of other streams.
    if (config().seed && S().rng.below(2)) {
      stepSome(s->device);
      continue;
    }
    OpPtr head = s->queue.front();
    bool waited = false;
    auto deps = head->deps;
    for (auto& d : deps)
      if (!d->done) {
        force(d);
        waited = true;
      }
    if (waited) continue;
    popHead(s);
  }
}

OpPtr enqueue(Stream* s, Work w) {
  if (s->capture) {
    Node* n = s->capture->graph->add(std::move(w), s->frontier);
    s->frontier = {n};
    return nullptr;
  }
  if (!config().async) {
    runWork(w);
    return nullptr;
  }
  auto op = std::make_shared<Op>();
  op->work = std::move(w);
  op->stream = s;
  for (auto& d : s->waits)
    if (!d->done) op->deps.push_back(d);
  s->waits.clear();
  if (s->isDefault) {
    for (auto* o : S().streams)
      if (o != s && o->device == s->device && !(o->flags & cudaStreamNonBlocking) && o->last && !o->last->done)
        op->deps.push_back(o->last);
  } else if (!(s->flags & cudaStreamNonBlocking)) {
    Stream* d = defaultStream(s->device);
    if (d->last && !d->last->done) op->deps.push_back(d->last);
  }
  s->queue.push_back(op);
  s->last = op;
  return op;
}

void syncStream(Stream* s) {
  OpPtr l = s->last;
  force(l);
  for (auto& w : std::vector<OpPtr>(s->waits)) force(w);
}
void syncDevice(int device) {
  while (true) {
    OpPtr op;
    for (auto* s : S().streams)
      if (s->device == device && s->last && !s->last->done && (!op || s->id < op->stream->id)) op = s->last;
    if (!op) return;
    force(op);
  }
}
bool streamIdle(Stream* s) { return !s->last || s->last->done; }
void dropQueued(int device) {
  for (auto* s : S().streams)
    if (s->device == device) {
      for (auto& o : s->queue) o->done = true;
      s->queue.clear();
      s->last.reset();
    }
}

// ---------------------------------------------------------------- copies

static uint8_t* checked(uint64_t p, size_t n, const char* what, bool write) {
  const Alloc* a = mem::find(p);
  if (a) {
    if (p + n > a->base + a->size)
      throw DeviceFault{700, strf("error: %s of %zu bytes at 0x%llx: %s", what, n, (unsigned long long)p,
                                  mem::describeNear(p, n).c_str())};
    return reinterpret_cast<uint8_t*>(p + uint64_t(a->delta));
  }
  (void)write;
  if (mem::inArena(p))
    throw DeviceFault{700, strf("error: %s of %zu bytes at 0x%llx: %s", what, n, (unsigned long long)p,
                                mem::describeNear(p, n).c_str())};
  return reinterpret_cast<uint8_t*>(p);
}

void copyNow(const CopyDesc& c) {
  for (size_t z = 0; z < c.depth; z++)
    for (size_t y = 0; y < c.height; y++) {
      if (!c.width) continue;
      uint64_t d = c.dst + z * c.dslice + y * c.dpitch, s = c.src + z * c.sslice + y * c.spitch;
      uint8_t* hd = checked(d, c.width, "copy to device memory", true);
      uint8_t* hs = checked(s, c.width, "copy from device memory", false);
      memmove(hd, hs, c.width);
      mem::copyInit(d, s, c.width);
    }
}
void setNow(const SetDesc& s) {
  for (size_t y = 0; y < s.height; y++) {
    if (!s.width) continue;
    uint64_t d = s.dst + y * s.pitch;
    uint8_t* h = checked(d, s.width * s.elem, "memset of device memory", true);
    if (s.elem == 1)
      memset(h, int(s.value), s.width);
    else
      for (size_t i = 0; i < s.width; i++) memcpy(h + i * s.elem, &s.value, s.elem);
    mem::markInit(d, s.width * s.elem);
  }
}

}  // namespace ptxrun
