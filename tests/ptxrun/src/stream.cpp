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
  uint64_t next_id = 1;
  Rng rng{config().seed};
  int depth = 0;
};
State& state() {
  static auto* s = new State;
  return *s;
}
}  // namespace

double now_ms() {
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

Stream* create_stream(int device, unsigned flags, int priority) {
  auto* s = new Stream;
  s->device = device;
  s->flags = flags;
  s->priority = priority;
  s->id = state().next_id++;
  state().streams.insert(s);
  return s;
}
Stream* default_stream(int device) {
  auto& d = state().defaults[device];
  if (!d) {
    d = create_stream(device, 0, 0);
    d->is_default = true;
  }
  return d;
}
const std::set<Stream*>& all_streams() { return state().streams; }
bool known_stream(Stream* s) { return state().streams.count(s) && !s->destroyed; }
void destroy_stream(Stream* s) {
  if (s->queue.empty()) {
    state().streams.erase(s);
    delete s;
  } else
    s->destroyed = true;
}

int sticky_error(int d) {
  auto it = state().sticky.find(d);
  return it == state().sticky.end() ? 0 : it->second;
}
void set_sticky(int d, int code) {
  if (code) {
    if (!state().sticky[d]) state().sticky[d] = code;
  } else
    state().sticky.erase(d);
}

void run_work(const Work& w) {
  if (sticky_error(w.device)) return;
  try {
    if (w.fn) w.fn();
  } catch (const DeviceFault& f) {
    report(f.text);
    set_sticky(w.device, f.code);
  }
}

static void execute(const OpPtr& op) {
  op->done = true;  // before it runs: a host function may query
  run_work(op->work);
  op->work.fn = nullptr;
  op->deps.clear();
}

static bool ready(const OpPtr& op) {
  for (auto& d : op->deps)
    if (!d->done) return false;
  return true;
}

static void pop_head(Stream* s) {
  OpPtr op = s->queue.front();
  s->queue.pop_front();
  execute(op);
  if (s->last == op) s->last.reset();
  if (s->destroyed && s->queue.empty()) {
    state().streams.erase(s);
    delete s;
  }
}

void step_some(int device) {
  std::vector<Stream*> r;
  for (auto* s : state().streams)
    if (s->device == device && !s->queue.empty() && ready(s->queue.front())) r.push_back(s);
  std::sort(r.begin(), r.end(), [](Stream* a, Stream* b) { return a->id < b->id; });
  if (!r.empty()) pop_head(r[state().rng.below(uint32_t(r.size()))]);
}

void force(const OpPtr& op) {
  if (!op) return;
  while (!op->done) {
    Stream* s = op->stream;
    if (s->queue.empty()) return;  // dropped
    // Seed 0: only what is needed, as late as it can be. Other seeds mix in work of other streams.
    if (config().seed && state().rng.below(2)) {
      step_some(s->device);
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
    pop_head(s);
  }
}

OpPtr enqueue(Stream* s, Work w) {
  if (s->capture) {
    Node* n = s->capture->graph->add(std::move(w), s->frontier);
    s->frontier = {n};
    return nullptr;
  }
  if (!config().async) {
    run_work(w);
    return nullptr;
  }
  auto op = std::make_shared<Op>();
  op->work = std::move(w);
  op->stream = s;
  for (auto& d : s->waits)
    if (!d->done) op->deps.push_back(d);
  s->waits.clear();
  if (s->is_default) {
    for (auto* o : state().streams)
      if (o != s && o->device == s->device && !(o->flags & cudaStreamNonBlocking) && o->last && !o->last->done)
        op->deps.push_back(o->last);
  } else if (!(s->flags & cudaStreamNonBlocking)) {
    Stream* d = default_stream(s->device);
    if (d->last && !d->last->done) op->deps.push_back(d->last);
  }
  s->queue.push_back(op);
  s->last = op;
  return op;
}

void sync_stream(Stream* s) {
  OpPtr l = s->last;
  force(l);
  for (auto& w : std::vector<OpPtr>(s->waits)) force(w);
}
void sync_device(int device) {
  while (true) {
    OpPtr op;
    for (auto* s : state().streams)
      if (s->device == device && s->last && !s->last->done && (!op || s->id < op->stream->id)) op = s->last;
    if (!op) return;
    force(op);
  }
}
bool stream_idle(Stream* s) { return !s->last || s->last->done; }
void drop_queued(int device) {
  for (auto* s : state().streams)
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
                                  mem::describe_near(p, n).c_str())};
    return reinterpret_cast<uint8_t*>(p + uint64_t(a->delta));
  }
  (void)write;
  if (mem::in_arena(p))
    throw DeviceFault{700, strf("error: %s of %zu bytes at 0x%llx: %s", what, n, (unsigned long long)p,
                                mem::describe_near(p, n).c_str())};
  return reinterpret_cast<uint8_t*>(p);
}

void copy_now(const CopyDesc& c) {
  for (size_t z = 0; z < c.depth; z++)
    for (size_t y = 0; y < c.height; y++) {
      if (!c.width) continue;
      uint64_t d = c.dst + z * c.dslice + y * c.dpitch, s = c.src + z * c.sslice + y * c.spitch;
      uint8_t* hd = checked(d, c.width, "copy to device memory", true);
      uint8_t* hs = checked(s, c.width, "copy from device memory", false);
      memmove(hd, hs, c.width);
      mem::copy_init(d, s, c.width);
    }
}
void set_now(const SetDesc& s) {
  for (size_t y = 0; y < s.height; y++) {
    if (!s.width) continue;
    uint64_t d = s.dst + y * s.pitch;
    uint8_t* h = checked(d, s.width * s.elem, "memset of device memory", true);
    if (s.elem == 1)
      memset(h, int(s.value), s.width);
    else
      for (size_t i = 0; i < s.width; i++) memcpy(h + i * s.elem, &s.value, s.elem);
    mem::mark_init(d, s.width * s.elem);
  }
}

}  // namespace ptxrun
