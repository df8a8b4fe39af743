#include "stats.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "common.h"
#include "memory.h"

namespace ptxrun {

void Counters::add(const Counters& o) {
  static_assert(sizeof(Counters) % 8 == 0);
  auto* a = reinterpret_cast<uint64_t*>(this);
  auto* b = reinterpret_cast<const uint64_t*>(&o);
  for (size_t i = 0; i < sizeof(Counters) / 8; i++) a[i] += b[i];
}

namespace stats {
namespace {
struct Entry {
  Counters c;
  uint64_t launches = 0, blocks = 0, threads = 0;
  uint32_t grid[3] = {}, block[3] = {}, regs = 0, ss = 0, ds = 0;
  double seconds = 0;
};
std::map<std::string, Entry>& table() {
  static auto* t = new std::map<std::string, Entry>;
  return *t;
}

// One bit per 32-byte sector of the device address range; pages in use are remembered for clearing.
struct Bits {
  uint64_t* bits = nullptr;
  uint8_t* page = nullptr;
  std::vector<uint32_t> used;
  uint64_t span = 1ull << 40;  // bytes of device addresses covered
  uint64_t count = 0;
  void init() {
    if (bits) return;
    size_t n = span / 32 / 8, pages = n / 4096;
    void* p = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void* q = mmap(nullptr, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || q == MAP_FAILED) return;
    bits = static_cast<uint64_t*>(p);
    page = static_cast<uint8_t*>(q);
  }
  void clear() {
    for (auto u : used) {
      memset(reinterpret_cast<uint8_t*>(bits) + size_t(u) * 4096, 0, 4096);
      page[u] = 0;
    }
    used.clear();
    count = 0;
  }
  void touch(uint64_t addr) {
    uint64_t i = (addr & (span - 1)) >> 5;
    if (!bits) return;
    uint64_t m = 1ull << (i & 63);
    if (bits[i >> 6] & m) return;
    uint32_t pg = uint32_t(i >> 15);
    std::lock_guard<std::mutex> g(mu);
    if (bits[i >> 6] & m) return;
    if (!page[pg]) {
      page[pg] = 1;
      used.push_back(pg);
    }
    bits[i >> 6] |= m;
    count++;
  }
  std::mutex mu;
};
Bits& rd() {
  static auto* b = new Bits;
  return *b;
}
Bits& wr() {
  static auto* b = new Bits;
  return *b;
}
}  // namespace

bool on() { return config().stats; }
void begin_launch() {
  rd().init();
  wr().init();
  rd().clear();
  wr().clear();
}
uint64_t touch_read(uint64_t a) {
  rd().touch(a);
  return 0;
}
void touch_write(uint64_t a) { wr().touch(a); }

void end_launch(const std::string& k, const Counters& c, const uint32_t* g, const uint32_t* b, uint32_t regs,
                uint32_t ss, uint32_t ds, double sec) {
  Entry& e = table()[k];
  Counters x = c;
  x.unique_read = rd().count;
  x.unique_written = wr().count;
  e.c.add(x);
  e.launches++;
  uint64_t nb = uint64_t(g[0]) * g[1] * g[2];
  e.blocks += nb;
  e.threads += nb * b[0] * b[1] * b[2];
  memcpy(e.grid, g, 12);
  memcpy(e.block, b, 12);
  e.regs = regs;
  e.ss = ss;
  e.ds = std::max(e.ds, ds);
  e.seconds += sec;
}

static double ratio(uint64_t a, uint64_t b) { return b ? double(a) / double(b) : 0.0; }

static std::string quote(const std::string& s) {
  std::string o = "\"";
  for (char ch : s) {
    if (ch == '"' || ch == '\\') o += '\\';
    o += ch;
  }
  return o + "\"";
}

void write_report() {
  if (!on()) return;
  auto& t = table();
  std::vector<std::pair<std::string, Entry*>> v;
  for (auto& [k, e] : t) v.push_back({k, &e});
  std::stable_sort(v.begin(), v.end(), [](auto& a, auto& b) { return a.second->c.warp_inst > b.second->c.warp_inst; });
  if (!config().stats_file.empty()) {
    FILE* f = fopen(config().stats_file.c_str(), "w");
    if (!f) {
      report("cannot write " + config().stats_file);
      return;
    }
    fprintf(f, "{\"kernels\": [");
    bool first = true;
    for (auto& [k, e] : v) {
      const Counters& c = e->c;
      fprintf(f,
              "%s\n  {\"kernel\": %s, \"launches\": %llu, \"blocks\": %llu, \"threads\": %llu, \"last_grid\": [%u, %u, "
              "%u], \"last_block\": [%u, %u, %u],\n",
              first ? "" : ",", quote(k).c_str(), (unsigned long long)e->launches, (unsigned long long)e->blocks,
              (unsigned long long)e->threads, e->grid[0], e->grid[1], e->grid[2], e->block[0], e->block[1],
              e->block[2]);
      fprintf(f, "   \"registers_estimate\": %u, \"static_shared_bytes\": %u, \"dynamic_shared_bytes_max\": %u",
              e->regs, e->ss, e->ds);
#define P(name, val) fprintf(f, ", \"%s\": %llu", name, (unsigned long long)(val))
      P("warp_instructions", c.warp_inst);
      P("thread_instructions", c.thread_inst);
      P("thread_instructions_predicated_on", c.pred_inst);
      P("branches", c.branches);
      P("divergent_branches", c.divergent_branches);
      P("global_load_requests", c.gld_req);
      P("global_load_sectors", c.gld_sectors);
      P("global_load_bytes", c.gld_bytes);
      P("global_store_requests", c.gst_req);
      P("global_store_sectors", c.gst_sectors);
      P("global_store_bytes", c.gst_bytes);
      P("unique_sectors_read", c.unique_read);
      P("unique_sectors_written", c.unique_written);
      P("host_memory_requests", c.host_req);
      P("shared_load_requests", c.sld_req);
      P("shared_load_wavefronts", c.sld_wave);
      P("shared_load_wavefronts_ideal", c.sld_ideal);
      P("shared_store_requests", c.sst_req);
      P("shared_store_wavefronts", c.sst_wave);
      P("shared_store_wavefronts_ideal", c.sst_ideal);
      P("global_atomic_requests", c.gatom_req);
      P("global_atomic_lanes", c.gatom_lanes);
      P("global_atomic_sectors", c.gatom_sectors);
      P("global_atomic_same_address_lanes", c.gatom_same);
      P("shared_atomic_requests", c.satom_req);
      P("shared_atomic_lanes", c.satom_lanes);
      P("shared_atomic_same_address_lanes", c.satom_same);
      P("local_requests", c.local_req);
      P("local_bytes", c.local_bytes);
      P("barriers", c.barriers);
      P("warp_syncs", c.warp_syncs);
      P("shuffles_votes", c.shuffles);
#undef P
      fprintf(f, "}");
      first = false;
    }
    fprintf(f, "\n]}\n");
    fclose(f);
    return;
  }
  fflush(stdout);
  for (auto& [k, e] : v) {
    const Counters& c = e->c;
    fprintf(stderr, "ptxrun stats: %s\n", k.c_str());
    fprintf(stderr,
            "  launches %llu, blocks %llu, threads %llu, last grid (%u,%u,%u) block (%u,%u,%u), about %u registers, "
            "shared %u static + %u dynamic\n",
            (unsigned long long)e->launches, (unsigned long long)e->blocks, (unsigned long long)e->threads, e->grid[0],
            e->grid[1], e->grid[2], e->block[0], e->block[1], e->block[2], e->regs, e->ss, e->ds);
    fprintf(stderr,
            "  instructions: %llu warp, %llu thread; %.2f active lanes per warp instruction (%.2f with the guard "
            "true); branches %llu, divergent %llu\n",
            (unsigned long long)c.warp_inst, (unsigned long long)c.thread_inst, ratio(c.thread_inst, c.warp_inst),
            ratio(c.pred_inst, c.warp_inst), (unsigned long long)c.branches, (unsigned long long)c.divergent_branches);
    fprintf(stderr,
            "  global loads: %llu requests, %.2f sectors each, %llu bytes asked, %llu distinct sectors; stores: %llu "
            "requests, %.2f sectors each, %llu bytes, %llu distinct sectors\n",
            (unsigned long long)c.gld_req, ratio(c.gld_sectors, c.gld_req), (unsigned long long)c.gld_bytes,
            (unsigned long long)c.unique_read, (unsigned long long)c.gst_req, ratio(c.gst_sectors, c.gst_req),
            (unsigned long long)c.gst_bytes, (unsigned long long)c.unique_written);
    if (c.sld_req || c.sst_req)
      fprintf(stderr,
              "  shared loads: %llu requests, %llu wavefronts (%llu without conflicts); stores: %llu requests, %llu "
              "wavefronts (%llu without conflicts)\n",
              (unsigned long long)c.sld_req, (unsigned long long)c.sld_wave, (unsigned long long)c.sld_ideal,
              (unsigned long long)c.sst_req, (unsigned long long)c.sst_wave, (unsigned long long)c.sst_ideal);
    if (c.gatom_req || c.satom_req)
      fprintf(stderr,
              "  atomics: global %llu requests, %llu lanes, %llu sectors, %llu lanes on a repeated address; shared "
              "%llu requests, %llu lanes, %llu on a repeated address\n",
              (unsigned long long)c.gatom_req, (unsigned long long)c.gatom_lanes, (unsigned long long)c.gatom_sectors,
              (unsigned long long)c.gatom_same, (unsigned long long)c.satom_req, (unsigned long long)c.satom_lanes,
              (unsigned long long)c.satom_same);
    if (c.local_req)
      fprintf(stderr, "  local memory: %llu requests, %llu bytes\n", (unsigned long long)c.local_req,
              (unsigned long long)c.local_bytes);
    if (c.barriers || c.warp_syncs || c.shuffles)
      fprintf(stderr, "  barriers %llu (warps), warp syncs %llu, shuffles/votes %llu\n", (unsigned long long)c.barriers,
              (unsigned long long)c.warp_syncs, (unsigned long long)c.shuffles);
  }
}

}  // namespace stats
}  // namespace ptxrun
