// Streams, events and graphs. In the default mode an operation runs when it is queued; with
// PTXRUN_ASYNC=1 it runs when something waits for it.
#pragma once
#include <driver_types.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "exec.h"

namespace ptxrun {

enum class NodeType { Kernel, Memcpy, Memset, Host, Empty, EventRecord, EventWait, Child, MemAlloc, MemFree };

struct CopyDesc {
  uint64_t dst = 0, src = 0;
  size_t dpitch = 0, spitch = 0, width = 0, height = 1, depth = 1, dslice = 0, sslice = 0;
};
struct SetDesc {
  uint64_t dst = 0;
  size_t pitch = 0, width = 0, height = 1;
  unsigned value = 0, elem = 1;
};

struct Graph;
struct Work {  // one operation
  NodeType type = NodeType::Empty;
  int device = 0;
  std::function<void()> fn;  // may throw DeviceFault
  std::shared_ptr<LaunchDesc> launch;
  CopyDesc copy;
  SetDesc set;
  cudaHostNodeParams host{};
  const void* func = nullptr;
  std::shared_ptr<Graph> child;
  uint64_t allocated = 0;
  bool enabled = true;
};

struct Stream;
struct Op {
  Work work;
  Stream* stream = nullptr;
  std::vector<std::shared_ptr<Op>> deps;
  bool done = false;
};
using OpPtr = std::shared_ptr<Op>;

struct Node {
  Graph* graph = nullptr;
  Work work;
  std::vector<Node*> deps;
};

struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;
  uint64_t id = 0;
  ~Graph();
  Node* add(Work w, const std::vector<Node*>& deps);
  std::vector<Node*> order() const;  // topological
};

struct GraphExec {
  std::vector<Node*> originals;
  std::vector<Work> works;
  std::vector<std::vector<size_t>> deps;
};

struct Capture {
  Graph* graph = nullptr;
  bool owned = true;  // the graph was made by the capture
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  Stream* origin = nullptr;
  uint64_t id = 0;
  bool invalid = false;
  std::set<Stream*> members;
  unsigned long thread = 0;
};

struct Event {
  unsigned flags = 0;
  int device = 0;
  bool recorded = false;
  OpPtr op;  // null when it has run
  double time = 0;
  Capture* capture = nullptr;  // recorded in a capturing stream
  std::vector<Node*> nodes;
};

struct Stream {
  int device = 0;
  unsigned flags = 0;
  int priority = 0;
  uint64_t id = 0;
  bool is_default = false, destroyed = false;
  std::deque<OpPtr> queue;
  OpPtr last;
  std::vector<OpPtr> waits;  // from cudaStreamWaitEvent, for the next operation
  Capture* capture = nullptr;
  std::vector<Node*> frontier;  // capture: nodes the next one depends on
};

Stream* default_stream(int device);
const std::set<Stream*>& all_streams();
Stream* create_stream(int device, unsigned flags, int priority);
void destroy_stream(Stream* s);
bool known_stream(Stream* s);

// Queues an operation; returns it when it is deferred.
OpPtr enqueue(Stream* s, Work w);
void force(const OpPtr& op);  // run whatever is needed for op to be done
void sync_stream(Stream* s);
void sync_device(int device);
bool stream_idle(Stream* s);
void step_some(int device);  // progress for polling programs
void drop_queued(int device);

int sticky_error(int device);
void set_sticky(int device, int code);
void run_work(const Work& w);  // executes; a fault becomes the device's sticky error

void copy_now(const CopyDesc& c);
void set_now(const SetDesc& s);
double now_ms();

}  // namespace ptxrun
