#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "common.h"

namespace ptxrun::mem {

namespace {
constexpr uint64_t k_base = 0x200000000000ull;  // device pointers start here (same in every run)
constexpr uint64_t k_gap = 512;                 // red zone between allocations
constexpr uint8_t k_fresh = 0xA7, k_freed = 0xDB;

struct State {
  uint64_t base = 0, size = 0, next = 0;
  uint8_t* back = nullptr;
  uint8_t* shad = nullptr;
  std::map<uint64_t, Alloc> live, freed;  // by base
  uint64_t used[16] = {}, peak[16] = {}, serial = 0;

  State() {
    uint64_t want = std::max<uint64_t>(config().memory * 8, 16ull << 30);
    for (; want >= (1ull << 28); want /= 2) {
      void* p = mmap(reinterpret_cast<void*>(k_base), want, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
      if (p == MAP_FAILED) p = mmap(nullptr, want, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (p == MAP_FAILED) continue;
      void* b = mmap(nullptr, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (b == MAP_FAILED) {
        munmap(p, want);
        continue;
      }
      if (config().initcheck) {
        void* s = mmap(nullptr, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (s == MAP_FAILED) {
          munmap(p, want);
          munmap(b, want);
          continue;
        }
        shad = static_cast<uint8_t*>(s);
      }
      madvise(b, want, MADV_NOHUGEPAGE);
      base = reinterpret_cast<uint64_t>(p);
      back = static_cast<uint8_t*>(b);
      size = want;
      next = base + 65536;
      return;
    }
    report("cannot reserve address space for device memory");
    abort();
  }
};
State& state() {
  static State* s = new State;
  return *s;
}

uint64_t round_up(uint64_t v, uint64_t a) { return (v + a - 1) / a * a; }

uint64_t find_range(State& s, uint64_t span) {
  if (s.next + span + k_gap <= s.base + s.size) {
    uint64_t p = s.next;
    s.next = round_up(p + span + k_gap, 512);
    return p;
  }
  // The range is used up: first gap between live allocations.
  uint64_t p = s.base + 65536;
  for (auto& [b, a] : s.live) {
    if (b < s.base || b >= s.base + s.size) continue;
    if (p + span + k_gap <= b) break;
    p = round_up(b + a.size + k_gap, 512);
  }
  if (p + span + k_gap > s.base + s.size) return 0;
  for (auto it = s.freed.begin(); it != s.freed.end();)
    if (it->first < p + span + k_gap && it->first + it->second.size + k_gap > p)
      it = s.freed.erase(it);
    else
      ++it;
  return p;
}

void fill(uint8_t* p, uint64_t n, uint8_t v) {
  if (config().poison) memset(p, v, n);
}
}  // namespace

bool in_arena(uint64_t a) {
  auto& s = state();
  return a >= s.base && a < s.base + s.size;
}
uint8_t* host(uint64_t a) {
  auto& s = state();
  return in_arena(a) ? s.back + (a - s.base) : reinterpret_cast<uint8_t*>(a);
}
uint64_t total() { return config().memory; }
uint64_t used(int d) { return state().used[d]; }
uint64_t peak(int d) { return state().peak[d]; }
bool init_on() { return config().initcheck; }
uint8_t* shadow(uint64_t a) {
  auto& s = state();
  return s.shad + (a - s.base);
}
int64_t shadow_delta() {
  auto& s = state();
  return s.shad ? int64_t(reinterpret_cast<uint64_t>(s.shad) - s.base) : 0;
}

void mark_init(uint64_t a, uint64_t n) {
  if (init_on() && n && in_arena(a)) memset(shadow(a), 1, n);
}
void copy_init(uint64_t d, uint64_t src, uint64_t n) {
  if (!init_on() || !n || !in_arena(d)) return;
  if (in_arena(src))
    memmove(shadow(d), shadow(src), n);
  else
    memset(shadow(d), 1, n);
}

uint64_t alloc_device(int dev, uint64_t size, MemKind kind, const std::string& what, bool from_pool) {
  auto& s = state();
  uint64_t acct = round_up(size ? size : 1, 512);
  if (acct < size || s.used[dev] + acct > total()) return 0;
  uint64_t p = find_range(s, round_up(size ? size : 1, 512));
  if (!p) return 0;
  Alloc a;
  a.base = p;
  a.size = size;
  a.kind = kind;
  a.device = dev;
  a.id = ++s.serial;
  a.what = what;
  a.from_pool = from_pool;
  a.delta = int64_t(reinterpret_cast<uint64_t>(s.back) - s.base);
  s.live[p] = a;
  s.used[dev] += acct;
  s.peak[dev] = std::max(s.peak[dev], s.used[dev]);
  fill(host(p), size, k_fresh);
  if (init_on()) memset(shadow(p), 0, size);
  return p;
}

void* alloc_host(uint64_t size, MemKind kind, unsigned flags, const std::string& what, int device) {
  auto& s = state();
  uint64_t span = round_up(size ? size : 1, 4096);
  // An unmapped page on both sides: host overruns fault at once.
  auto* m =
      static_cast<uint8_t*>(mmap(nullptr, span + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (m == MAP_FAILED) return nullptr;
  if (mprotect(m + 4096, span, PROT_READ | PROT_WRITE)) {
    munmap(m, span + 8192);
    return nullptr;
  }
  Alloc a;
  a.base = reinterpret_cast<uint64_t>(m + 4096);
  a.size = size;
  a.kind = kind;
  a.flags = flags;
  a.id = ++s.serial;
  a.what = what;
  a.device = device;
  if (kind == MemKind::Managed) {
    uint64_t acct = round_up(size ? size : 1, 512);
    if (s.used[device] + acct > total()) {
      munmap(m, span + 8192);
      return nullptr;
    }
    s.used[device] += acct;
    s.peak[device] = std::max(s.peak[device], s.used[device]);
  }
  s.freed.erase(a.base);
  s.live[a.base] = a;
  fill(m + 4096, size, k_fresh);
  return m + 4096;
}

bool register_host(void* p, uint64_t size, unsigned flags) {
  auto& s = state();
  uint64_t b = reinterpret_cast<uint64_t>(p);
  auto it = s.live.lower_bound(b);
  if (it != s.live.end() && it->first < b + size) return false;
  if (it != s.live.begin() && std::prev(it)->first + std::prev(it)->second.size > b) return false;
  Alloc a;
  a.base = b;
  a.size = size;
  a.kind = MemKind::Registered;
  a.flags = flags;
  a.id = ++s.serial;
  a.what = "cudaHostRegister";
  s.live[b] = a;
  return true;
}
bool unregister_host(void* p) {
  auto& s = state();
  auto it = s.live.find(reinterpret_cast<uint64_t>(p));
  if (it == s.live.end() || it->second.kind != MemKind::Registered) return false;
  s.live.erase(it);
  return true;
}

static void drop(State& s, std::map<uint64_t, Alloc>::iterator it) {
  Alloc a = it->second;
  s.live.erase(it);
  uint64_t acct = round_up(a.size ? a.size : 1, 512);
  if (a.kind == MemKind::Device || a.kind == MemKind::Variable || a.kind == MemKind::Constant ||
      a.kind == MemKind::Managed)
    s.used[a.device] -= acct;
  if (in_arena(a.base)) {
    uint8_t* h = host(a.base);
    if (a.size >= (1u << 20)) {  // give large blocks back to the system
      uint64_t lo = round_up(reinterpret_cast<uint64_t>(h), 4096),
               hi = (reinterpret_cast<uint64_t>(h) + a.size) & ~4095ull;
      if (hi > lo) madvise(reinterpret_cast<void*>(lo), hi - lo, MADV_DONTNEED);
    } else {
      fill(h, a.size, k_freed);
    }
    a.was_freed = true;
    s.freed[a.base] = a;
    if (s.freed.size() > 100000) s.freed.erase(s.freed.begin());
  } else if (a.kind == MemKind::Pinned || a.kind == MemKind::Managed) {
    munmap(reinterpret_cast<void*>(a.base - 4096), round_up(a.size ? a.size : 1, 4096) + 8192);
    a.was_freed = true;
    s.freed[a.base] = a;
  }
}

FreeResult release(uint64_t p, bool host_kind) {
  auto& s = state();
  auto it = s.live.find(p);
  if (it == s.live.end()) {
    if (s.freed.count(p)) return FreeResult::Double;
    return find(p) ? FreeResult::NotBase : FreeResult::NotFound;
  }
  MemKind k = it->second.kind;
  bool ok = host_kind ? k == MemKind::Pinned : (k == MemKind::Device || k == MemKind::Managed);
  if (!ok) return FreeResult::NotFound;
  drop(s, it);
  return FreeResult::Ok;
}

void release_all(int dev) {
  auto& s = state();
  for (auto it = s.live.begin(); it != s.live.end();) {
    auto cur = it++;
    if (cur->second.device == dev && (cur->second.kind == MemKind::Device || cur->second.kind == MemKind::Managed))
      drop(s, cur);
  }
}

const Alloc* find(uint64_t a) {
  auto& s = state();
  auto it = s.live.upper_bound(a);
  if (it == s.live.begin()) return nullptr;
  --it;
  // A zero-sized allocation holds nothing.
  return a - it->first < it->second.size ? &it->second : nullptr;
}

static const char* kind_name(MemKind k) {
  switch (k) {
    case MemKind::Device:
      return "device memory";
    case MemKind::Variable:
      return "device variable";
    case MemKind::Constant:
      return "constant variable";
    case MemKind::Pinned:
      return "pinned host memory";
    case MemKind::Registered:
      return "registered host memory";
    default:
      return "managed memory";
  }
}

std::string describe_near(uint64_t addr, uint64_t) {
  auto& s = state();
  auto desc = [](const Alloc& a) {
    return strf("%s #%llu of %llu bytes at 0x%llx (%s, device %d)", kind_name(a.kind), (unsigned long long)a.id,
                (unsigned long long)a.size, (unsigned long long)a.base, a.what.c_str(), a.device);
  };
  if (addr < 65536) return "the address is null or near null";
  auto f = s.freed.upper_bound(addr);
  if (f != s.freed.begin() && addr - std::prev(f)->first < std::max<uint64_t>(std::prev(f)->second.size, 1))
    return strf("the address is %llu bytes into freed ", (unsigned long long)(addr - std::prev(f)->first)) +
           desc(std::prev(f)->second);
  const Alloc* best = nullptr;
  uint64_t dist = ~0ull;
  bool before = false;
  auto it = s.live.upper_bound(addr);
  if (it != s.live.end()) {
    best = &it->second;
    dist = it->first - addr;
    before = true;
  }
  if (it != s.live.begin()) {
    auto& a = std::prev(it)->second;
    uint64_t end = a.base + a.size;
    if (addr < end) return strf("the access crosses the end of ") + desc(a);
    if (addr - end <= dist) {
      best = &a;
      dist = addr - end;
      before = false;
    }
  }
  if (best && dist < (64ull << 20))
    return strf("the address is %llu bytes %s ", (unsigned long long)dist, before ? "before" : "after the end of") +
           desc(*best);
  if (!in_arena(addr)) return "the address looks like ordinary host memory (not pinned, registered or managed)";
  return "no allocation is near";
}

size_t count_live(int dev, bool user_only) {
  size_t n = 0;
  for (auto& [b, a] : state().live)
    if (a.device == dev && (!user_only || a.kind == MemKind::Device)) n++;
  return n;
}

void leak_report() {
  auto& s = state();
  uint64_t n = 0, bytes = 0;
  for (auto& [b, a] : s.live) {
    if (a.kind == MemKind::Variable || a.kind == MemKind::Constant || a.kind == MemKind::Registered) continue;
    if (n < 20)
      report(strf("leak: %s #%llu of %llu bytes from %s at 0x%llx", kind_name(a.kind), (unsigned long long)a.id,
                  (unsigned long long)a.size, a.what.c_str(), (unsigned long long)b));
    n++;
    bytes += a.size;
  }
  report(strf("leak check: %llu allocations, %llu bytes not freed at exit", (unsigned long long)n,
              (unsigned long long)bytes));
}

}  // namespace ptxrun::mem
