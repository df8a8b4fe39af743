// Runs kernels: warps in lockstep with reconvergence at the lowest program counter, memory accesses
// with checks, warp-level operations, barriers, and the scheduling of warps and blocks.
#include <emmintrin.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "common.h"
#include "exec.h"
#include "memory.h"
#include "stats.h"

namespace ptxrun {

namespace {

constexpr uint32_t k_all = 0xffffffffu;
constexpr int k_err_invalid_ptr = 700, k_err_misaligned = 716, k_err_launch_failure = 719, k_err_assert = 710,
              k_err_trap = 715, k_err_timeout = 702;

struct RaceCell {  // last accesses to one byte of shared memory
  uint32_t w_clk = 0, r1_clk = 0, r2_clk = 0;
  uint16_t w_thread = 0xffff, r1_thread = 0xffff, r2_thread = 0xffff;
  uint16_t w_epoch = 0, r1_epoch = 0, r2_epoch = 0;
  uint8_t w_atomic = 0, r1_atomic = 0, r2_atomic = 0;
};

struct Barrier {
  uint32_t arrived = 0, expected = 0;  // expected 0: all threads that have not exited
  uint32_t pop = 0;
  bool all = true, any = false;
  std::vector<uint32_t> clock;  // racecheck: joined clocks of those that arrived
};

}  // namespace

struct Block {
  uint32_t cta[3] = {}, index = 0;
  uint64_t linear = 0;
  std::vector<Warp> warps;
  uint8_t* regs = nullptr;
  std::vector<uint8_t> st, dyn, local;
  uint32_t threads = 0, alive = 0, next = 0;
  Barrier bars[16];
  std::vector<std::vector<uint32_t>> clocks;  // racecheck: vector clock of each warp
  std::vector<uint16_t> epoch;                // racecheck: warp-level epochs
  std::vector<RaceCell> race_st, race_dyn;
  bool busy = false;
  ~Block() { free(regs); }
};

namespace {

struct Shared {  // of one launch, for all host threads
  std::atomic<uint64_t> next_block{0};
  std::atomic<bool> stop{false};
  std::mutex mu;
  std::unique_ptr<DeviceFault> fault;
  std::vector<uint64_t> order;  // shuffled block order (within a window)
};

class Runner {
 public:
  Runner(const LaunchDesc& d, const Code& c, Shared& sh, uint64_t seed) : d_(d), c_(c), sh_(sh), rng_(seed) {
    total_ = uint64_t(d.grid[0]) * d.grid[1] * d.grid[2];
    threads_ = d.block[0] * d.block[1] * d.block[2];
    stats_ = config().stats;
    init_ = mem::init_on();
    race_ = config().racecheck;
    shuffle_ = config().shuffle;
    multi_ = config().threads > 1;
    maxSteps_ = 0;
    if (const char* v = getenv("PTXRUN_MAXSTEPS")) maxSteps_ = strtoull(v, nullptr, 0);
  }
  Counters counters;

  void run() {
    size_t window = shuffle_ ? 6 : 1, most = 4096;
    std::vector<std::unique_ptr<Block>> res;
    std::vector<std::unique_ptr<Block>> spare;
    size_t cur = 0, spinning = 0;
    bool exhausted = false;
    auto admit = [&] {
      uint64_t b = sh_.next_block.fetch_add(1);
      if (b >= total_) {
        exhausted = true;
        return false;
      }
      std::unique_ptr<Block> blk;
      if (!spare.empty()) {
        blk = std::move(spare.back());
        spare.pop_back();
      } else
        blk = std::make_unique<Block>();
      start(*blk, sh_.order.empty() ? b : sh_.order[b]);
      res.push_back(std::move(blk));
      return true;
    };
    while (true) {
      while (!exhausted && res.size() < window && admit()) {
      }
      if (res.empty()) break;
      if (sh_.stop.load(std::memory_order_relaxed)) break;
      if (cur >= res.size()) cur = 0;
      if (shuffle_) cur = rng_.below(uint32_t(res.size()));
      Slice s = slice(*res[cur]);
      if (maxSteps_ && counters.warp_inst > maxSteps_)
        throw DeviceFault{k_err_timeout,
                          "launch stopped: more than PTXRUN_MAXSTEPS warp instructions in " + d_.kernel->pretty};
      if (s == Slice::Done) {
        spare.push_back(std::move(res[cur]));
        res.erase(res.begin() + long(cur));
        spinning = 0;
        window = std::max<size_t>(shuffle_ ? 6 : 1, res.size());
      } else if (s == Slice::Spin) {
        cur++;
        // All resident blocks wait for something: let one more in (grid-wide barriers need that).
        if (++spinning >= res.size() * 2) {
          spinning = 0;
          if (!exhausted && window < most) window = res.size() + 1;
        }
      } else {
        cur++;
        spinning = 0;
      }
    }
  }

 private:
  const LaunchDesc& d_;
  const Code& c_;
  Shared& sh_;
  Rng rng_;
  uint64_t total_;
  uint32_t threads_;
  bool stats_, init_, shuffle_, multi_;
  int race_;
  uint64_t maxSteps_;
  struct Range {
    uint64_t lo = 1, hi = 0;
    int64_t delta = 0;
    bool readonly = false, host = false;
  };
  Range cache_[256];
  uint64_t lastAddr_ = 0;  // first address of the latest load or atomic

  enum class Slice { Done, Ran, Spin };
  enum class Res { Done, Blocked, Quantum, Yield };

  // -------------------------------------------------------------- blocks

  void start(Block& b, uint64_t linear) {
    b.linear = linear;
    b.cta[0] = uint32_t(linear % d_.grid[0]);
    b.cta[1] = uint32_t(linear / d_.grid[0] % d_.grid[1]);
    b.cta[2] = uint32_t(linear / d_.grid[0] / d_.grid[1]);
    b.threads = b.alive = threads_;
    uint32_t nw = (threads_ + 31) / 32;
    bool fresh = b.warps.empty();
    if (fresh) {
      b.warps.resize(nw);
      size_t bytes = (size_t(c_.reg_bytes) * nw + 63) / 64 * 64;
      b.regs = static_cast<uint8_t*>(aligned_alloc(64, std::max<size_t>(bytes, 64)));
      uint32_t end = c_.shared_ranges.empty() ? 0 : c_.shared_ranges.back().hi;
      b.st.resize(end + 64);
      b.dyn.resize(d_.dyn_shared + 64);
      b.local.resize(size_t(c_.local_bytes) * nw * 32 + 64);
      memset(b.regs, 0xA7, std::max<size_t>(bytes, 64));
    }
    if (config().poison) {
      memset(b.st.data(), 0xA7, b.st.size());
      memset(b.dyn.data(), 0xA7, b.dyn.size());
      if (c_.local_bytes) memset(b.local.data(), 0xA7, b.local.size());
    }
    if (race_) {
      b.race_st.assign(b.st.size(), {});
      b.race_dyn.assign(b.dyn.size(), {});
      b.clocks.assign(nw, std::vector<uint32_t>(nw, 0));
      for (uint32_t i = 0; i < nw; i++) b.clocks[i][i] = 1;
      b.epoch.assign(nw, 1);
    }
    for (auto& x : b.bars) x = Barrier{};
    b.next = 0;
    for (uint32_t i = 0; i < nw; i++) {
      Warp& w = b.warps[i];
      w.r = b.regs + size_t(c_.reg_bytes) * i;
      w.consts = c_.consts.data();
      w.block = &b;
      w.id = i;
      uint32_t n = std::min(32u, threads_ - i * 32);
      w.initial = w.alive = n == 32 ? k_all : (1u << n) - 1;
      w.groups.clear();
      w.groups.push_back({0, w.alive, Group::Run, 0});
      w.done = false;
      w.rotate = 0;
      w.give_way = false;
      for (auto& s : c_.specials) special(b, w, s.off, s.id);
    }
  }

  void special(Block& b, Warp& w, uint32_t off, uint8_t id) {
    uint32_t* r = w.out<uint32_t>(off);
    for (uint32_t l = 0; l < 32; l++) {
      uint32_t t = w.id * 32 + l, v = 0;
      switch (id) {
        case STidX:
          v = t % d_.block[0];
          break;
        case STidY:
          v = t / d_.block[0] % d_.block[1];
          break;
        case STidZ:
          v = t / d_.block[0] / d_.block[1];
          break;
        case SNtidX:
          v = d_.block[0];
          break;
        case SNtidY:
          v = d_.block[1];
          break;
        case SNtidZ:
          v = d_.block[2];
          break;
        case SCtaX:
          v = b.cta[0];
          break;
        case SCtaY:
          v = b.cta[1];
          break;
        case SCtaZ:
          v = b.cta[2];
          break;
        case SNctaX:
          v = d_.grid[0];
          break;
        case SNctaY:
          v = d_.grid[1];
          break;
        case SNctaZ:
          v = d_.grid[2];
          break;
        case SLane:
          v = l;
          break;
        case SWarp:
          v = w.id;
          break;
        case SNwarp:
          v = uint32_t(b.warps.size());
          break;
        case SLtMask:
          v = (1u << l) - 1;
          break;
        case SLeMask:
          v = uint32_t((2ull << l) - 1);
          break;
        case SGtMask:
          v = ~uint32_t((2ull << l) - 1);
          break;
        case SGeMask:
          v = ~((1u << l) - 1);
          break;
        case SEqMask:
          v = 1u << l;
          break;
        case SSmid:
          v = uint32_t(b.linear % 132);
          break;
        case SNsmid:
          v = 132;
          break;
        case SDynSmem:
          v = d_.dyn_shared;
          break;
        case STotalSmem:
          v = d_.dyn_shared + c_.static_shared;
          break;
        case SWarpSize:
          v = 32;
          break;
        case SOne:
          v = 1;
          break;
        case SWsHi:
          v = uint32_t(d_.workspace >> 32);
          break;
        case SWsLo:
          v = uint32_t(d_.workspace);
          break;
        default:
          break;
      }
      r[l] = v;
    }
  }

  Slice slice(Block& b) {
    bool spin = false, ran = false;
    size_t n = b.warps.size();
    uint32_t first = shuffle_ ? rng_.below(uint32_t(n)) : 0;
    bool live = false;
    for (size_t k = 0; k < n; k++) {
      Warp& w = b.warps[(first + k) % n];
      if (w.done) continue;
      uint64_t q = shuffle_ ? 1 + rng_.below(300) : 400000;
      Res r = run_warp(b, w, q);
      if (r == Res::Done) {
        w.done = true;
        ran = true;
      } else
        live = true;
      if (r == Res::Quantum) ran = true;
      if (r == Res::Yield) spin = true;
      if (sh_.stop.load(std::memory_order_relaxed)) return Slice::Ran;
    }
    if (!live) return Slice::Done;
    // A barrier may have released warps that came earlier in the round.
    bool runnable = false;
    for (auto& w : b.warps)
      if (!w.done)
        for (auto& g : w.groups) runnable |= g.state == Group::Run;
    if (!runnable) deadlock(b);
    if (ran) return Slice::Ran;
    return spin ? Slice::Spin : Slice::Ran;
  }

  // -------------------------------------------------------------- faults

  std::string where(const Warp& w, uint32_t lane, uint32_t pc) {
    const Block& b = *w.block;
    uint32_t t = w.id * 32 + lane;
    const InstMeta& m = c_.meta[pc];
    std::string s =
        strf("kernel %s, grid (%u,%u,%u), block (%u,%u,%u) of (%u,%u,%u) threads, thread (%u,%u,%u)",
             d_.kernel->pretty.c_str(), d_.grid[0], d_.grid[1], d_.grid[2], b.cta[0], b.cta[1], b.cta[2], d_.block[0],
             d_.block[1], d_.block[2], t % d_.block[0], t / d_.block[0] % d_.block[1], t / d_.block[0] / d_.block[1]);
    std::string text;
    for (char ch : m.text) {
      if (ch == '\n' || ch == '\t') ch = ' ';
      if (ch != ' ' || text.empty() || text.back() != ' ') text += ch;
    }
    s += strf("\nPTX line %u: %s", m.line, text.c_str());
    if (m.loc >= 0) {
      auto& l = c_.locs[size_t(m.loc)];
      auto name = [&](uint32_t id) {
        auto f = d_.kernel->module->files.find(id);
        return f == d_.kernel->module->files.end() ? std::string("?") : f->second;
      };
      s += strf("\nsource %s:%u", name(l.file).c_str(), l.line);
      for (int in = l.outer, k = 0; in >= 0 && k < 20; in = c_.locs[size_t(in)].outer, k++)
        s += strf(", inlined at %s:%u", name(c_.locs[size_t(in)].file).c_str(), c_.locs[size_t(in)].line);
    }
    return s;
  }
  [[noreturn]] void fault(const Warp& w, uint32_t lane, int code, const std::string& what) {
    throw DeviceFault{code, "error: " + what + "\n" + where(w, lane, w.pc)};
  }

  [[noreturn]] void deadlock(Block& b) {
    std::string s = strf("error: deadlock: no thread of block (%u,%u,%u) can go on", b.cta[0], b.cta[1], b.cta[2]);
    int shown = 0;
    for (auto& w : b.warps)
      for (auto& g : w.groups) {
        if (shown++ >= 4) break;
        s += strf("\nwarp %u, lanes 0x%08x wait in %s:\n", w.id, g.mask,
                  g.state == Group::WaitBar ? "a block barrier" : "a warp-level operation");
        s += where(w, uint32_t(std::countr_zero(g.mask)), g.pc);
      }
    throw DeviceFault{k_err_launch_failure, s};
  }

  // -------------------------------------------------------------- warps

  static void set_mask(Warp& w, uint32_t m) {
    w.mask = m;
    if (w.lm_mask != m) {
      w.lm_mask = m;
      for (int l = 0; l < 32; l++) w.lm[l] = -int32_t((m >> l) & 1);
    }
  }

  void leave(Warp& w, uint32_t pc, uint32_t mask, Group::State st = Group::Run, uint32_t bar = 0) {
    for (auto& g : w.groups)
      if (g.pc == pc && g.state == st && g.bar == bar) {
        g.mask |= mask;
        return;
      }
    w.groups.push_back({pc, mask, st, bar});
  }

  // Lanes exit: barriers and warp operations may now be complete.
  void exit_lanes(Block& b, Warp& w, uint32_t m) {
    w.alive &= ~m;
    b.alive -= uint32_t(std::popcount(m));
    for (uint32_t i = 0; i < 16; i++)
      if (b.bars[i].arrived) check_barrier(b, i, w);
    for (size_t i = 0; i < w.groups.size(); i++)
      if (w.groups[i].state == Group::WaitWarp) {
        resolve_warp(b, w);
        break;
      }
  }

  void check_barrier(Block& b, uint32_t id, Warp& reporter) {
    Barrier& x = b.bars[id];
    uint32_t need = x.expected ? x.expected : b.alive;
    if (!x.arrived || x.arrived < need) return;
    if (config().synccheck >= 2 && !x.expected && b.alive != b.threads)
      fault(reporter, 0, k_err_launch_failure,
            "a block barrier completes although some threads of the block have exited (PTXRUN_SYNCCHECK=2)");
    if (race_) {
      for (auto& w : b.warps)
        for (auto& g : w.groups)
          if (g.state == Group::WaitBar && g.bar == id) {
            auto& c = b.clocks[w.id];
            for (size_t i = 0; i < c.size(); i++) c[i] = std::max(c[i], x.clock.empty() ? 0u : x.clock[i]);
            c[w.id]++;
            b.epoch[w.id]++;
          }
    }
    for (auto& w : b.warps) {
      for (auto& g : w.groups) {
        if (g.state != Group::WaitBar || g.bar != id) continue;
        const Inst& I = c_.insts[g.pc];
        if (I.sub == 1) {
          uint32_t* d = w.out<uint32_t>(I.op[0]);
          for (int l = 0; l < 32; l++)
            if (g.mask >> l & 1) d[l] = x.pop;
        } else if (I.sub) {
          uint32_t* d = w.pred_dst(I.op[0]);
          bool v = I.sub == 2 ? x.all : x.any;
          *d = (*d & ~g.mask) | (v ? g.mask : 0);
        }
        g.state = Group::Run;
        g.pc++;
        g.bar = 0;
      }
    }
    x = Barrier{};
  }

  void arrive(Block& b, Warp& w, const Inst& I, uint32_t pc, uint32_t m, bool wait) {
    size_t k = I.ndef;
    const uint32_t* idv = w.in<uint32_t>(I.op[k]);
    uint32_t lane = uint32_t(std::countr_zero(m));
    uint32_t id = idv[lane];
    if (id >= 16) fault(w, lane, k_err_launch_failure, strf("barrier number %u is out of range", id));
    Barrier& x = b.bars[id];
    uint32_t n = uint32_t(std::popcount(m));
    if (I.flags & FHasCount) {
      uint32_t cnt = w.in<uint32_t>(I.op[k + 1])[lane];
      if (cnt == 0 || cnt % 32)
        fault(w, lane, k_err_launch_failure, strf("barrier thread count %u is not a multiple of the warp size", cnt));
      x.expected = cnt;
      if (m == w.alive) n = 32;
    }
    if ((I.flags & FAligned) && config().synccheck && wait)
      for (auto& g : w.groups)
        if (g.state == Group::WaitBar && g.bar == id && g.pc != pc) {
          std::string other = where(w, uint32_t(std::countr_zero(g.mask)), g.pc);
          fault(w, lane, k_err_launch_failure,
                "divergent barrier: threads of one warp wait in different __syncthreads() calls; others wait at\n" +
                    other + "\nand now");
        }
    if (I.sub) {
      uint32_t p = w.pred(I.op[I.nop - 1]) & m;
      x.pop += uint32_t(std::popcount(p));
      x.all = x.all && p == m;
      x.any = x.any || p;
    }
    if (race_) {
      if (x.clock.empty()) x.clock.assign(b.warps.size(), 0);
      auto& c = b.clocks[w.id];
      for (size_t i = 0; i < c.size(); i++) x.clock[i] = std::max(x.clock[i], c[i]);
      if (!wait) c[w.id]++;
    }
    x.arrived += n;
    if (wait)
      leave(w, pc, m, Group::WaitBar, id);
    else
      leave(w, pc + 1, m);
    check_barrier(b, id, w);
  }

  uint32_t member_operand(const Inst& I) {
    switch (I.kind) {
      case Kind::Shfl:
        return I.op[5];
      case Kind::Vote:
        return I.op[2];
      case Kind::Match:
        return I.op[3];
      case Kind::Redux:
        return I.op[2];
      case Kind::Elect:
        return I.op[2];
      default:
        return I.op[0];
    }
  }

  // A warp-level operation with mask m of lanes at pc. True: all members are here and it was executed.
  bool warp_op(Block& b, Warp& w, const Inst& I, uint32_t pc, uint32_t m) {
    const uint32_t* mm = w.in<uint32_t>(member_operand(I));
    uint32_t first = uint32_t(std::countr_zero(m)), v = mm[first];
    bool uniform = true;
    for (int l = 0; l < 32; l++)
      if ((m >> l & 1) && mm[l] != v) uniform = false;
    bool others = false;
    for (auto& g : w.groups) others |= g.state == Group::WaitWarp;
    if (uniform && !others && (v & w.alive) == m) {
      exec_warp_op(b, w, I, m);
      return true;
    }
    for (int l = 0; l < 32; l++)
      if (m >> l & 1) {
        w.mm[l] = mm[l];
        if (!(mm[l] >> l & 1))
          fault(w, uint32_t(l), k_err_launch_failure,
                strf("the member mask 0x%08x does not name the calling lane %d", mm[l], l));
      }
    leave(w, pc, m, Group::WaitWarp);
    resolve_warp(b, w);
    return false;
  }

  void resolve_warp(Block& b, Warp& w) {
    for (bool again = true; again;) {
      again = false;
      for (size_t gi = 0; gi < w.groups.size() && !again; gi++) {
        if (w.groups[gi].state != Group::WaitWarp) continue;
        Group g = w.groups[gi];
        const Inst& I = c_.insts[g.pc];
        uint32_t todo = g.mask;
        while (todo) {
          uint32_t l = uint32_t(std::countr_zero(todo)), v = w.mm[l], same = 0;
          for (int k = 0; k < 32; k++)
            if ((g.mask >> k & 1) && w.mm[k] == v) same |= 1u << k;
          todo &= ~same;
          uint32_t have = same;
          if (I.kind == Kind::WarpSync)  // __syncwarp may be met at different places
            for (auto& o : w.groups)
              if (o.state == Group::WaitWarp && c_.insts[o.pc].kind == Kind::WarpSync)
                for (int k = 0; k < 32; k++)
                  if ((o.mask >> k & 1) && w.mm[k] == v) have |= 1u << k;
          if ((v & w.alive) & ~have) continue;
          if (I.kind == Kind::WarpSync) {
            std::vector<std::pair<uint32_t, uint32_t>> out;
            for (auto& o : w.groups)
              if (o.state == Group::WaitWarp && c_.insts[o.pc].kind == Kind::WarpSync && (o.mask & have)) {
                out.push_back({o.pc + 1, o.mask & have});
                o.mask &= ~have;
              }
            std::erase_if(w.groups, [](const Group& o) { return !o.mask; });
            for (auto& [p, mk] : out) leave(w, p, mk);
            if (race_) b.epoch[w.id]++;
          } else {
            w.pc = g.pc;
            exec_warp_op(b, w, I, same);
            w.groups[gi].mask &= ~same;
            uint32_t p = g.pc + 1;
            std::erase_if(w.groups, [](const Group& o) { return !o.mask; });
            leave(w, p, same);
          }
          again = true;
          break;
        }
      }
    }
  }

  void exec_warp_op(Block& b, Warp& w, const Inst& I, uint32_t m) {
    if (race_) b.epoch[w.id]++;
    if (I.kind == Kind::WarpSync) {
      counters.warp_syncs++;
      return;
    }
    counters.shuffles++;
    switch (I.kind) {
      case Kind::Shfl: {
        uint32_t a[32], res[32], pm = 0;
        memcpy(a, w.in<uint32_t>(I.op[2]), 128);
        const uint32_t *bv = w.in<uint32_t>(I.op[3]), *cv = w.in<uint32_t>(I.op[4]);
        for (uint32_t l = 0; l < 32; l++) {
          uint32_t bb = bv[l] & 31, c = cv[l] & 31, seg = (cv[l] >> 8) & 31;
          uint32_t max_l = (l & seg) | (c & ~seg), min_l = l & seg, j;
          bool p;
          switch (I.sub) {
            case 0:
              j = l - bb;
              p = int32_t(j) >= int32_t(max_l);
              break;
            case 1:
              j = l + bb;
              p = j <= max_l;
              break;
            case 2:
              j = l ^ bb;
              p = j <= max_l;
              break;
            default:
              j = min_l | (bb & ~seg);
              p = j <= max_l;
              break;
          }
          if (!p) j = l;
          pm |= uint32_t(p) << l;
          res[l] = (m >> (j & 31) & 1) ? a[j & 31] : 0xDEADBEEFu;  // a lane that takes no part: undefined
        }
        uint32_t *d = w.out<uint32_t>(I.op[0]), *p = w.pred_dst(I.op[1]);
        for (int l = 0; l < 32; l++)
          if (m >> l & 1) d[l] = res[l];
        *p = (*p & ~m) | (pm & m);
        break;
      }
      case Kind::Vote: {
        uint32_t p = w.pred(I.op[1]) & m;
        if (I.sub == 3) {
          uint32_t* d = w.out<uint32_t>(I.op[0]);
          for (int l = 0; l < 32; l++)
            if (m >> l & 1) d[l] = p;
        } else {
          bool v = I.sub == 0 ? p == m : I.sub == 1 ? p != 0 : (p == m || p == 0);
          uint32_t* d = w.pred_dst(I.op[0]);
          *d = (*d & ~m) | (v ? m : 0);
        }
        break;
      }
      case Kind::Match: {
        uint64_t a[32];
        for (int l = 0; l < 32; l++) a[l] = I.regw == 8 ? w.in<uint64_t>(I.op[2])[l] : w.in<uint32_t>(I.op[2])[l];
        uint32_t *d = w.out<uint32_t>(I.op[0]), pm = 0;
        for (int l = 0; l < 32; l++) {
          if (!(m >> l & 1)) continue;
          uint32_t s = 0;
          for (int k = 0; k < 32; k++)
            if ((m >> k & 1) && a[k] == a[l]) s |= 1u << k;
          if (I.sub) {
            bool all = s == m;
            d[l] = all ? m : 0;
            pm |= uint32_t(all) << l;
          } else
            d[l] = s;
        }
        if (I.sub) {
          uint32_t* p = w.pred_dst(I.op[1]);
          *p = (*p & ~m) | pm;
        }
        break;
      }
      case Kind::Redux: {
        const uint32_t* a = w.in<uint32_t>(I.op[1]);
        bool first = true;
        uint32_t r = 0;
        for (int l = 0; l < 32; l++) {
          if (!(m >> l & 1)) continue;
          uint32_t v = a[l];
          if (first) {
            r = v;
            first = false;
            continue;
          }
          switch (I.sub) {
            case AAdd:
              r += v;
              break;
            case AAnd:
              r &= v;
              break;
            case AOr:
              r |= v;
              break;
            case AXor:
              r ^= v;
              break;
            case AMin:
              r = I.flags & FSigned ? uint32_t(std::min(int32_t(r), int32_t(v))) : std::min(r, v);
              break;
            default:
              r = I.flags & FSigned ? uint32_t(std::max(int32_t(r), int32_t(v))) : std::max(r, v);
              break;
          }
        }
        uint32_t* d = w.out<uint32_t>(I.op[0]);
        for (int l = 0; l < 32; l++)
          if (m >> l & 1) d[l] = r;
        break;
      }
      case Kind::Elect: {
        uint32_t lead = uint32_t(std::countr_zero(m));
        uint32_t *d = w.out<uint32_t>(I.op[0]), *p = w.pred_dst(I.op[1]);
        for (int l = 0; l < 32; l++)
          if (m >> l & 1) d[l] = lead;
        *p = (*p & ~m) | (1u << lead);
        break;
      }
      default:
        break;
    }
  }

  Res run_warp(Block& b, Warp& w, uint64_t quantum) {
    const Inst* code = c_.insts.data();
    // Polls: atomics and volatile loads that come back to the same address, as in a spin loop.
    uint32_t polls = 0;
    uint64_t seen_addr[2] = {0, 0};
    uint32_t seenPc[2] = {k_all, k_all};
    auto poll = [&](uint32_t pc) {
      for (int k = 0; k < 2; k++)
        if (seenPc[k] == pc && seen_addr[k] == lastAddr_) {
          polls++;
          return;
        }
      seenPc[1] = seenPc[0];
      seen_addr[1] = seen_addr[0];
      seenPc[0] = pc;
      seen_addr[0] = lastAddr_;
      polls = 0;
    };
    bool yielded = false;
    uint64_t left = quantum;
    while (true) {
      // Choose the runnable group with the lowest program counter.
      if (w.groups.empty()) return Res::Done;
      size_t pick = SIZE_MAX, runnable = 0;
      for (size_t i = 0; i < w.groups.size(); i++)
        if (w.groups[i].state == Group::Run) {
          runnable++;
          if (pick == SIZE_MAX || w.groups[i].pc < w.groups[pick].pc) pick = i;
        }
      if (pick == SIZE_MAX) return Res::Blocked;
      if (yielded || left == 0) return polls || yielded ? Res::Yield : Res::Quantum;
      if (w.give_way && runnable > 1) {  // a spinning group gives way to another, once
        uint32_t k = w.rotate % uint32_t(runnable);
        for (size_t i = 0; i < w.groups.size(); i++)
          if (w.groups[i].state == Group::Run && k-- == 0) {
            pick = i;
            break;
          }
      }
      w.give_way = false;
      uint32_t pc = w.groups[pick].pc, act = 0, limit = k_all;
      for (size_t i = 0; i < w.groups.size();) {
        Group& g = w.groups[i];
        if (g.state == Group::Run && g.pc == pc) {
          act |= g.mask;
          w.groups[i] = w.groups.back();
          w.groups.pop_back();
        } else {
          if (g.state == Group::Run && g.pc > pc) limit = std::min(limit, g.pc);
          i++;
        }
      }
      bool divergent = runnable > 1;
      uint64_t wi = 0, ti = 0, pi = 0;
      uint32_t act_n = uint32_t(std::popcount(act));
      try {
        while (true) {
          const Inst& I = code[pc];
          uint32_t m = act;
          if (I.guard != k_none) m &= w.pred(I.guard) ^ (I.guard_neg ? k_all : 0);
          wi++;
          ti += act_n;
          pi += I.guard == k_none ? act_n : uint32_t(std::popcount(m));
          w.pc = pc;
          bool out = false;
          switch (I.kind) {
            case Kind::Alu:
              if (m) {
                set_mask(w, m);
                I.f[m == k_all](w, I);
              }
              pc++;
              break;
            case Kind::Ld:
              if (m) {
                set_mask(w, m);
                load(b, w, I);
                if (I.flags & FVolatile) poll(pc);
              }
              pc++;
              break;
            case Kind::St:
              if (m) {
                set_mask(w, m);
                store(b, w, I);
              }
              pc++;
              break;
            case Kind::Atom:
              if (m) {
                set_mask(w, m);
                atomic(b, w, I);
                poll(pc);
              }
              pc++;
              break;
            case Kind::Bra: {
              counters.branches++;
              if (m == act)
                pc = I.target;
              else if (!m)
                pc++;
              else {
                counters.divergent_branches++;
                leave(w, I.target, m);
                leave(w, pc + 1, act & ~m);
                act = 0;
                out = true;
              }
              break;
            }
            case Kind::BrxIdx: {
              counters.branches++;
              const uint32_t* v = w.in<uint32_t>(I.op[0]);
              auto& t = c_.tables[I.target];
              uint32_t rest = m;
              int parts = 0;
              while (rest) {
                uint32_t l = uint32_t(std::countr_zero(rest)), x = v[l], s = 0;
                for (int k = 0; k < 32; k++)
                  if ((rest >> k & 1) && v[k] == x) s |= 1u << k;
                if (x >= t.size()) fault(w, l, k_err_launch_failure, "branch index out of range");
                leave(w, t[x], s);
                rest &= ~s;
                parts++;
              }
              if (act & ~m) {
                leave(w, pc + 1, act & ~m);
                parts++;
              }
              if (parts > 1) counters.divergent_branches++;
              act = 0;
              out = true;
              break;
            }
            case Kind::Exit:
              if (m) {
                act &= ~m;
                if (act) leave(w, pc + 1, act);
                act = 0;
                exit_lanes(b, w, m);
                out = true;
              } else
                pc++;
              break;
            case Kind::Trap:
              if (m)
                fault(w, uint32_t(std::countr_zero(m)), I.sub ? k_err_trap : k_err_launch_failure,
                      I.sub ? "breakpoint" : "trap instruction");
              pc++;
              break;
            case Kind::Nop:
              if (multi_) std::atomic_thread_fence(std::memory_order_seq_cst);
              if (I.sub == 1) {
                wi--;
                ti -= act_n;
                pi -= act_n;
              }  // end of an inlined call: not an instruction
              pc++;
              break;
            case Kind::Yield:
              pc++;
              if (m) {
                yielded = true;
                out = true;
              }
              break;
            case Kind::Bar:
            case Kind::BarArrive:
              if (m) {
                counters.barriers++;
                if (act & ~m) leave(w, pc + 1, act & ~m);
                act = 0;
                out = true;
                arrive(b, w, I, pc, m, I.kind == Kind::Bar);
              } else
                pc++;
              break;
            case Kind::WarpSync:
            case Kind::Shfl:
            case Kind::Vote:
            case Kind::Match:
            case Kind::Redux:
            case Kind::Elect:
              if (!m) {
                pc++;
                break;
              }
              if (m == act) {
                act = 0;
                if (warp_op(b, w, I, pc, m)) {
                  act = m;
                  pc++;
                } else
                  out = true;
              } else {
                leave(w, pc + 1, act & ~m);
                act = 0;
                out = true;
                if (warp_op(b, w, I, pc, m)) leave(w, pc + 1, m);
              }
              break;
            case Kind::ActiveMask: {
              uint32_t* d = w.out<uint32_t>(I.op[0]);
              for (int l = 0; l < 32; l++)
                if (m >> l & 1) d[l] = act;
              pc++;
              break;
            }
            case Kind::Clock: {
              uint64_t v = I.sub ? uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                                std::chrono::system_clock::now().time_since_epoch())
                                                .count())
                                 : (counters.warp_inst + wi) * 4;
              if (I.type) v >>= 32;
              for (int l = 0; l < 32; l++)
                if (m >> l & 1) {
                  if (I.regw == 8)
                    w.out<uint64_t>(I.op[0])[l] = v;
                  else
                    w.out<uint32_t>(I.op[0])[l] = uint32_t(v);
                }
              pc++;
              break;
            }
            case Kind::Call:
              if (m) {
                set_mask(w, m);
                builtin(b, w, I);
              }
              pc++;
              break;
            case Kind::AsyncCopy:
              if (m) {
                set_mask(w, m);
                async_copy(b, w, I);
              }
              pc++;
              break;
            case Kind::Unknown:
              if (m) fault(w, uint32_t(std::countr_zero(m)), 209, "ptxrun cannot execute this instruction");
              pc++;
              break;
          }
          if (out) break;
          if (pc >= limit) break;
          if (--left == 0) {
            if (divergent) {
              w.rotate++;
              w.give_way = true;
            }
            break;
          }
          if (polls >= 256) {
            if (divergent) {
              w.rotate++;
              w.give_way = true;
              polls = 0;
              break;
            }
            if (polls >= 1024) {
              yielded = true;
              break;
            }
          }
        }
      } catch (...) {
        counters.warp_inst += wi;
        counters.thread_inst += ti;
        counters.pred_inst += pi;
        throw;
      }
      counters.warp_inst += wi;
      counters.thread_inst += ti;
      counters.pred_inst += pi;
      if (act) leave(w, pc, act);
    }
  }

  // -------------------------------------------------------------- memory

  void addresses(Warp& w, const Inst& I, uint32_t op, uint64_t* A) {
    if (I.base == 8) {
      const uint64_t* r = w.in<uint64_t>(op);
      for (int l = 0; l < 32; l++) A[l] = r[l] + uint64_t(I.imm);
    } else if (I.base == 4) {
      const uint32_t* r = w.in<uint32_t>(op);
      for (int l = 0; l < 32; l++) A[l] = uint32_t(r[l] + uint32_t(I.imm));
    } else {
      for (int l = 0; l < 32; l++) A[l] = uint64_t(I.imm);
    }
    if (w.mask != k_all) {  // lanes that take no part copy the address of one that does
      uint64_t f = A[std::countr_zero(w.mask)];
      for (int l = 0; l < 32; l++) {
        uint64_t k = uint64_t(int64_t(w.lm[l]));
        A[l] = (A[l] & k) | (f & ~k);
      }
    }
  }

  enum What { Read, Write, Rmw };
  static const char* verb(What x) { return x == Read ? "read" : x == Write ? "write" : "atomic operation"; }

  void count_sectors(const uint64_t* A, uint32_t mask, uint32_t size, What what, bool host) {
    uint64_t s[32];
    int n = 0;
    bool sorted = true;
    for (int l = 0; l < 32; l++) {
      if (!(mask >> l & 1)) continue;
      uint64_t x = A[l] >> 5;
      if (n && x == s[n - 1]) continue;
      if (n && x < s[n - 1]) sorted = false;
      s[n++] = x;
    }
    if (!sorted) {
      std::sort(s, s + n);
      n = int(std::unique(s, s + n) - s);
    }
    uint64_t bytes = uint64_t(size) * uint64_t(std::popcount(mask));
    if (host) counters.host_req++;
    if (what == Read) {
      counters.gld_req++;
      counters.gld_sectors += uint64_t(n);
      counters.gld_bytes += bytes;
    } else if (what == Write) {
      counters.gst_req++;
      counters.gst_sectors += uint64_t(n);
      counters.gst_bytes += bytes;
    } else {
      counters.gatom_req++;
      counters.gatom_sectors += uint64_t(n);
      counters.gatom_lanes += uint64_t(std::popcount(mask));
      counters.gatom_same += same(A, mask);
    }
    if (host) return;
    for (int i = 0; i < n; i++) {
      if (what != Write) stats::touch_read(s[i] << 5);
      if (what != Read) stats::touch_write(s[i] << 5);
    }
  }
  static uint64_t same(const uint64_t* A, uint32_t mask) {  // lanes whose address an earlier lane already has
    uint64_t s[32];
    int n = 0;
    for (int l = 0; l < 32; l++)
      if (mask >> l & 1) s[n++] = A[l];
    std::sort(s, s + n);
    return uint64_t(n - (std::unique(s, s + n) - s));
  }

  void count_banks(const uint64_t* A, uint32_t mask, uint32_t size, What what) {
    int per = size <= 4 ? 32 : size == 8 ? 16 : 8;  // lanes served together
    uint64_t waves = 0, ideal = 0;
    for (int g = 0; g < 32; g += per) {
      uint32_t gm = uint32_t((mask >> g) & (per == 32 ? k_all : (1u << per) - 1));
      if (!gm) continue;
      ideal++;
      uint32_t words[32][32];
      uint8_t cnt[32] = {};
      int most = 1;
      for (int l = g; l < g + per; l++) {
        if (!(mask >> l & 1)) continue;
        for (uint32_t k = 0; k < (size + 3) / 4; k++) {
          uint32_t wd = uint32_t(A[l] >> 2) + k, bk = wd & 31;
          bool seen = false;
          for (int q = 0; q < cnt[bk]; q++)
            if (words[bk][q] == wd) {
              seen = true;
              break;
            }
          if (!seen) {
            words[bk][cnt[bk]++] = wd;
            most = std::max(most, int(cnt[bk]));
          }
        }
      }
      waves += uint64_t(most);
    }
    if (what == Read) {
      counters.sld_req++;
      counters.sld_wave += waves;
      counters.sld_ideal += ideal;
    } else if (what == Write) {
      counters.sst_req++;
      counters.sst_wave += waves;
      counters.sst_ideal += ideal;
    } else {
      counters.satom_req++;
      counters.satom_lanes += uint64_t(std::popcount(mask));
      counters.satom_same += same(A, mask);
    }
  }

  void global(Warp& w, uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P, uint32_t align) {
    uint64_t lo = ~0ull, hi = 0, low = 0;
    for (int l = 0; l < 32; l++) {
      lo = std::min(lo, A[l]);
      hi = std::max(hi, A[l]);
      low |= A[l];
    }
    if (__builtin_expect(low & (align - 1), 0))
      for (uint32_t l = 0; l < 32; l++)
        if ((mask >> l & 1) && (A[l] & (align - 1)))
          fault(w, l, k_err_misaligned,
                strf("misaligned global %s of %u bytes at 0x%llx", verb(what), align, (unsigned long long)A[l]));
    Range& r = cache_[w.pc & 255];
    if (__builtin_expect(lo >= r.lo && hi + size <= r.hi && !(r.readonly && what != Read), 1)) {
      for (int l = 0; l < 32; l++) P[l] = reinterpret_cast<uint8_t*>(A[l] + uint64_t(r.delta));
      if (stats_) count_sectors(A, mask, size, what, r.host);
    } else {
      bool host = false;
      for (uint32_t l = 0; l < 32; l++) {
        if (!(mask >> l & 1)) continue;
        const Alloc* a = mem::find(A[l]);
        if (!a || A[l] + size > a->base + a->size) bad_global(w, l, A[l], size, what);
        if (a->device != d_.device && a->kind == MemKind::Device && !peer_enabled(d_.device, a->device))
          fault(w, l, k_err_invalid_ptr,
                strf("global %s of memory of device %d by a kernel on device %d without cudaDeviceEnablePeerAccess",
                     verb(what), a->device, d_.device));
        if (a->kind == MemKind::Constant && what != Read)
          fault(w, l, k_err_invalid_ptr, strf("%s of constant variable %s", verb(what), a->what.c_str()));
        P[l] = reinterpret_cast<uint8_t*>(A[l] + uint64_t(a->delta));
        r = {a->base, a->base + a->size, a->delta, a->kind == MemKind::Constant,
             a->kind == MemKind::Pinned || a->kind == MemKind::Registered || a->kind == MemKind::Managed};
        host = r.host;
      }
      uint8_t* f = P[std::countr_zero(mask)];
      for (int l = 0; l < 32; l++)
        if (!(mask >> l & 1)) P[l] = f;
      if (stats_) count_sectors(A, mask, size, what, host);
    }
    if (init_) initcheck(w, A, mask, size, what);
  }

  [[noreturn]] void bad_global(Warp& w, uint32_t l, uint64_t a, uint32_t size, What what) {
    std::string near = mem::describe_near(a, size);
    const char* k = near.find("freed") != near.npos           ? "use after free: "
                    : near.find("ordinary host") != near.npos ? "invalid host pointer: "
                                                              : "out of bounds: ";
    fault(w, l, k_err_invalid_ptr,
          strf("%sglobal %s of %u bytes at 0x%llx; %s", k, verb(what), size, (unsigned long long)a, near.c_str()));
  }

  void initcheck(Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what) {
    for (uint32_t l = 0; l < 32; l++) {
      if (!(mask >> l & 1) || !mem::in_arena(A[l])) continue;
      uint8_t* s = mem::shadow(A[l]);
      if (what != Write)
        for (uint32_t k = 0; k < size; k++)
          if (!s[k]) {
            const Alloc* a = mem::find(A[l]);
            fault(w, l, k_err_launch_failure,
                  strf("uninitialised global %s of %u bytes at 0x%llx: byte %llu of %s #%llu (%llu bytes) was never "
                       "written",
                       verb(what), size, (unsigned long long)A[l], (unsigned long long)(A[l] + k - a->base),
                       a->what.c_str(), (unsigned long long)a->id, (unsigned long long)a->size));
          }
      if (what != Read) memset(s, 1, size);
    }
  }

  uint8_t* shared_ptr(Block& b, uint64_t a, uint32_t size) {
    if (a >= k_shared_dynamic)
      return a + size <= uint64_t(k_shared_dynamic) + d_.dyn_shared ? b.dyn.data() + (a - k_shared_dynamic) : nullptr;
    for (auto& r : c_.shared_ranges)
      if (a >= r.lo && a + size <= r.hi) return b.st.data() + a;
    return nullptr;
  }

  void shared(Block& b, Warp& w, uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P, uint32_t align,
              bool vol) {
    uint64_t lo = ~0ull, hi = 0, low = 0;
    for (int l = 0; l < 32; l++) {
      lo = std::min(lo, A[l]);
      hi = std::max(hi, A[l]);
      low |= A[l];
    }
    if (low & (align - 1))
      for (uint32_t l = 0; l < 32; l++)
        if ((mask >> l & 1) && (A[l] & (align - 1)))
          fault(w, l, k_err_misaligned,
                strf("misaligned shared %s of %u bytes at 0x%llx", verb(what), align, (unsigned long long)A[l]));
    uint8_t* base = nullptr;
    if (lo >= k_shared_dynamic) {
      if (hi + size <= uint64_t(k_shared_dynamic) + d_.dyn_shared) base = b.dyn.data() - k_shared_dynamic;
    } else {
      for (auto& r : c_.shared_ranges)
        if (lo >= r.lo && hi + size <= r.hi) {
          base = b.st.data();
          break;
        }
    }
    if (base)
      for (int l = 0; l < 32; l++) P[l] = base + A[l];
    else {
      for (uint32_t l = 0; l < 32; l++) {
        P[l] = shared_ptr(b, A[l], size);
        if (!P[l] && (mask >> l & 1)) bad_shared(w, l, A[l], size, what);
      }
    }
    if (stats_) count_banks(A, mask, size, what);
    if (race_) racecheck(b, w, A, mask, size, what, vol);
  }

  [[noreturn]] void bad_shared(Warp& w, uint32_t l, uint64_t a, uint32_t size, What what) {
    std::string near;
    if (a >= k_shared_dynamic)
      near = strf("byte %llu of %u bytes of dynamic shared memory", (unsigned long long)(a - k_shared_dynamic),
                  d_.dyn_shared);
    else {
      const SharedRange* best = nullptr;
      for (auto& r : c_.shared_ranges)
        if (a >= r.lo) best = &r;
      if (best)
        near = strf("byte %llu of variable %s of %u bytes", (unsigned long long)(a - best->lo),
                    demangle(best->name).c_str(), best->hi - best->lo);
      else
        near = "before the first variable";
    }
    fault(w, l, k_err_invalid_ptr,
          strf("out of bounds: shared %s of %u bytes at 0x%llx: %s", verb(what), size, (unsigned long long)a,
               near.c_str()));
  }

  void racecheck(Block& b, Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, bool vol) {
    const auto& vc = b.clocks[w.id];
    uint16_t ep = b.epoch[w.id];
    uint8_t at = what == Rmw || vol;
    auto bad = [&](uint32_t l, uint64_t a, uint16_t other, const char* kind) {
      fault(
          w, l, k_err_launch_failure,
          strf(
              "race: %s hazard on shared memory at 0x%llx between thread %u and thread %u with no barrier between them",
              kind, (unsigned long long)a, w.id * 32 + l, other));
    };
    for (uint32_t l = 0; l < 32; l++) {
      if (!(mask >> l & 1)) continue;
      uint16_t me = uint16_t(w.id * 32 + l);
      for (uint32_t k = 0; k < size; k++) {
        uint64_t a = A[l] + k;
        RaceCell& c = a >= k_shared_dynamic ? b.race_dyn[a - k_shared_dynamic] : b.race_st[a];
        auto conflict = [&](uint16_t t, uint32_t clk, uint16_t e, uint8_t was_atomic) {
          if (t == 0xffff || t == me || (at && was_atomic)) return false;
          uint32_t ow = t / 32;
          if (ow != w.id) return clk > vc[ow];
          return race_ >= 2 && e == ep;
        };
        if (conflict(c.w_thread, c.w_clk, c.w_epoch, c.w_atomic))
          bad(l, a, c.w_thread, what == Read ? "read after write" : "write after write");
        if (what != Read) {
          if (conflict(c.r1_thread, c.r1_clk, c.r1_epoch, c.r1_atomic)) bad(l, a, c.r1_thread, "write after read");
          if (conflict(c.r2_thread, c.r2_clk, c.r2_epoch, c.r2_atomic)) bad(l, a, c.r2_thread, "write after read");
          c.w_thread = me;
          c.w_clk = vc[w.id];
          c.w_epoch = ep;
          c.w_atomic = at;
          c.r1_thread = c.r2_thread = 0xffff;
        } else if (c.r1_thread == 0xffff || c.r1_thread / 32 == w.id) {
          c.r1_thread = me;
          c.r1_clk = vc[w.id];
          c.r1_epoch = ep;
          c.r1_atomic = at;
        } else {
          c.r2_thread = me;
          c.r2_clk = vc[w.id];
          c.r2_epoch = ep;
          c.r2_atomic = at;
        }
      }
    }
  }

  void local_mem(Block& b, Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P,
                 uint32_t align) {
    uint8_t* base = b.local.data() + size_t(w.id) * 32 * c_.local_bytes;
    for (uint32_t l = 0; l < 32; l++) {
      if (mask >> l & 1) {
        if (A[l] + size > c_.local_bytes)
          fault(w, l, k_err_invalid_ptr,
                strf("out of bounds: local %s of %u bytes at 0x%llx; the frame has %u bytes", verb(what), size,
                     (unsigned long long)A[l], c_.local_bytes));
        if (A[l] & (align - 1))
          fault(w, l, k_err_misaligned,
                strf("misaligned local %s of %u bytes at 0x%llx", verb(what), align, (unsigned long long)A[l]));
      }
      P[l] = base + size_t(l) * c_.local_bytes + A[l];
    }
    if (mask != k_all) {
      uint8_t* f = P[std::countr_zero(mask)];
      for (int l = 0; l < 32; l++)
        if (!(mask >> l & 1)) P[l] = f;
    }
    counters.local_req++;
    counters.local_bytes += uint64_t(size) * uint64_t(std::popcount(mask));
  }

  void param_mem(Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P) {
    for (uint32_t l = 0; l < 32; l++) {
      if ((mask >> l & 1) && (A[l] + size > d_.params.size() || what != Read))
        fault(w, l, k_err_invalid_ptr,
              strf("out of bounds: parameter %s of %u bytes at offset %llu of %zu", verb(what), size,
                   (unsigned long long)A[l], d_.params.size()));
      P[l] = const_cast<uint8_t*>(d_.params.data()) + A[l];
    }
    if (mask != k_all) {
      uint8_t* f = P[std::countr_zero(mask)];
      for (int l = 0; l < 32; l++)
        if (!(mask >> l & 1)) P[l] = f;
    }
  }

  // Host addresses of an access, after all checks. Lanes outside the mask get a valid address too.
  void resolve(Block& b, Warp& w, const Inst& I, uint64_t* A, uint32_t size, What what, uint8_t** P) {
    uint32_t mask = w.mask;
    bool vol = I.flags & FVolatile;
    switch (I.space) {
      case Space::Global:
      case Space::Const:
        global(w, A, mask, size, what, P, size);
        return;
      case Space::Shared:
        shared(b, w, A, mask, size, what, P, size, vol);
        return;
      case Space::Local:
        local_mem(b, w, A, mask, size, what, P, size);
        return;
      case Space::Param:
        param_mem(w, A, mask, size, what, P);
        return;
      case Space::Generic:
        break;
    }
    uint64_t any = 0;
    for (int l = 0; l < 32; l++) any |= A[l] & k_win_mask;
    if (!any) {
      global(w, A, mask, size, what, P, size);
      return;
    }
    uint32_t rest = mask;
    uint8_t* valid = nullptr;
    while (rest) {
      uint64_t win = A[std::countr_zero(rest)] & k_win_mask;
      uint32_t s = 0;
      for (int l = 0; l < 32; l++)
        if ((rest >> l & 1) && (A[l] & k_win_mask) == win) s |= 1u << l;
      uint64_t B[32];
      uint8_t* Q[32];
      uint64_t f = A[std::countr_zero(s)] - win;
      for (int l = 0; l < 32; l++) B[l] = (s >> l & 1) ? A[l] - win : f;
      if (win == k_shared_win)
        shared(b, w, B, s, size, what, Q, size, vol);
      else if (win == k_local_win)
        local_mem(b, w, B, s, size, what, Q, size);
      else if (win == k_param_win)
        param_mem(w, B, s, size, what, Q);
      else {
        for (auto& x : B) x += win;
        global(w, B, s, size, what, Q, size);
      }
      for (int l = 0; l < 32; l++)
        if (s >> l & 1) {
          P[l] = Q[l];
          valid = Q[l];
        }
      rest &= ~s;
    }
    for (int l = 0; l < 32; l++)
      if (!(mask >> l & 1)) P[l] = valid;
  }

  template <class M, class R>
  static void gather(Warp& w, const Inst& I, uint8_t* const* P) {
    using Wd = std::conditional_t<std::is_signed_v<M>, std::make_signed_t<R>, R>;
    for (uint32_t e = 0; e < I.vec; e++) {
      R* d = w.out<R>(I.op[e]);
      R t[32];
      for (int l = 0; l < 32; l++) {
        M v;
        memcpy(&v, P[l] + e * sizeof(M), sizeof(M));
        t[l] = R(Wd(v));
      }
      if (w.mask == k_all)
        memcpy(d, t, sizeof t);
      else
        for (int l = 0; l < 32; l++) {
          R k = R(int64_t(w.lm[l]));
          d[l] = (d[l] & ~k) | (t[l] & k);
        }
    }
  }
  template <class M, class R>
  static void scatter(Warp& w, const Inst& I, uint8_t* const* P) {
    for (uint32_t e = 0; e < I.vec; e++) {
      const R* s = w.in<R>(I.op[1 + e]);
      if (w.mask == k_all)
        for (int l = 0; l < 32; l++) {
          M v = M(s[l]);
          memcpy(P[l] + e * sizeof(M), &v, sizeof(M));
        }
      else
        for (int l = 0; l < 32; l++)
          if (w.mask >> l & 1) {
            M v = M(s[l]);
            memcpy(P[l] + e * sizeof(M), &v, sizeof(M));
          }
    }
  }

  void load(Block& b, Warp& w, const Inst& I) {
    uint64_t A[32];
    uint8_t* P[32];
    if (I.space == Space::Param && !I.base) {  // a kernel parameter: the same for all lanes
      const uint8_t* p = d_.params.data() + I.imm;
      if (uint64_t(I.imm) + uint64_t(I.width) * I.vec > d_.params.size())
        fault(w, 0, k_err_invalid_ptr, "parameter out of bounds");
      for (int l = 0; l < 32; l++) P[l] = const_cast<uint8_t*>(p);
    } else {
      addresses(w, I, I.base ? I.op[I.ndef] : 0, A);
      lastAddr_ = A[std::countr_zero(w.mask)];
      resolve(b, w, I, A, uint32_t(I.width) * I.vec, Read, P);
    }
    alignas(16) uint8_t whole[32][16];
    if (multi_ && (I.flags & FVolatile) && I.vec > 1 && I.width * I.vec <= 16) {  // one indivisible access
      for (int l = 0; l < 32; l++) {
        if (I.width * I.vec == 16)
          _mm_store_si128(reinterpret_cast<__m128i*>(whole[l]), _mm_load_si128(reinterpret_cast<const __m128i*>(P[l])));
        else {
          uint64_t v = I.width * I.vec == 8 ? __atomic_load_n(reinterpret_cast<uint64_t*>(P[l]), __ATOMIC_ACQUIRE)
                                            : __atomic_load_n(reinterpret_cast<uint32_t*>(P[l]), __ATOMIC_ACQUIRE);
          memcpy(whole[l], &v, 8);
        }
        P[l] = whole[l];
      }
    }
    bool s = I.flags & FSigned, d = I.regw == 8;
    switch (I.width) {
      case 1:
        s ? (d ? gather<int8_t, uint64_t>(w, I, P) : gather<int8_t, uint32_t>(w, I, P))
          : (d ? gather<uint8_t, uint64_t>(w, I, P) : gather<uint8_t, uint32_t>(w, I, P));
        break;
      case 2:
        s ? (d ? gather<int16_t, uint64_t>(w, I, P) : gather<int16_t, uint32_t>(w, I, P))
          : (d ? gather<uint16_t, uint64_t>(w, I, P) : gather<uint16_t, uint32_t>(w, I, P));
        break;
      case 4:
        d ? (s ? gather<int32_t, uint64_t>(w, I, P) : gather<uint32_t, uint64_t>(w, I, P))
          : gather<uint32_t, uint32_t>(w, I, P);
        break;
      default:
        gather<uint64_t, uint64_t>(w, I, P);
        break;
    }
  }

  void store(Block& b, Warp& w, const Inst& I) {
    uint64_t A[32];
    uint8_t* P[32];
    addresses(w, I, I.base ? I.op[0] : 0, A);
    resolve(b, w, I, A, uint32_t(I.width) * I.vec, Write, P);
    bool d = I.regw == 8;
    if (multi_ && (I.flags & FVolatile) && I.vec > 1 &&
        (I.width * I.vec == 16 || I.width * I.vec == 8)) {  // one indivisible access
      for (int l = 0; l < 32; l++) {
        if (!(w.mask >> l & 1)) continue;
        alignas(16) uint8_t t[16] = {};
        for (uint32_t e = 0; e < I.vec; e++) {
          uint64_t v = d ? w.in<uint64_t>(I.op[1 + e])[l] : w.in<uint32_t>(I.op[1 + e])[l];
          memcpy(t + e * I.width, &v, I.width);
        }
        uint64_t q;
        memcpy(&q, t, 8);
        if (I.width * I.vec == 16)
          _mm_store_si128(reinterpret_cast<__m128i*>(P[l]), _mm_load_si128(reinterpret_cast<__m128i*>(t)));
        else
          __atomic_store_n(reinterpret_cast<uint64_t*>(P[l]), q, __ATOMIC_RELEASE);
      }
      return;
    }
    switch (I.width) {
      case 1:
        d ? scatter<uint8_t, uint64_t>(w, I, P) : scatter<uint8_t, uint32_t>(w, I, P);
        break;
      case 2:
        d ? scatter<uint16_t, uint64_t>(w, I, P) : scatter<uint16_t, uint32_t>(w, I, P);
        break;
      case 4:
        d ? scatter<uint32_t, uint64_t>(w, I, P) : scatter<uint32_t, uint32_t>(w, I, P);
        break;
      default:
        scatter<uint64_t, uint64_t>(w, I, P);
        break;
    }
  }

  template <class T>
  static T rmw(T* p, const Inst& I, T v, T c) {
    switch (I.sub) {
      case AAdd:
        if constexpr (std::is_integral_v<T>) return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
        break;
      case AAnd:
        if constexpr (std::is_integral_v<T>) return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
        break;
      case AOr:
        if constexpr (std::is_integral_v<T>) return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
        break;
      case AXor:
        if constexpr (std::is_integral_v<T>) return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);
        break;
      case AExch:
        if constexpr (std::is_integral_v<T>) return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
        break;
      case ACas:
        if constexpr (std::is_integral_v<T>) {
          T e = v;
          __atomic_compare_exchange_n(p, &e, c, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
          return e;
        }
        break;
      default:
        break;
    }
    using Raw = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
    auto* q = reinterpret_cast<Raw*>(p);
    Raw old = __atomic_load_n(q, __ATOMIC_SEQ_CST);
    while (true) {
      T o, n;
      memcpy(&o, &old, sizeof o);
      switch (I.sub) {
        case AAdd:
          n = T(o + v);
          break;
        case AMin:
          n = o < v ? o : v;
          break;
        case AMax:
          n = o > v ? o : v;
          break;
        case AInc:
          n = o >= v ? T(0) : T(o + 1);
          break;
        case ADec:
          n = (o == T(0) || o > v) ? v : T(o - 1);
          break;
        default:
          n = v;
          break;
      }
      Raw r;
      memcpy(&r, &n, sizeof r);
      if (__atomic_compare_exchange_n(q, &old, r, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return o;
    }
  }
  template <class T>
  static uint64_t rmw_bits(uint8_t* p, const Inst& I, uint64_t v, uint64_t c) {
    T a, b;
    memcpy(&a, &v, sizeof a);
    memcpy(&b, &c, sizeof b);
    T o = rmw<T>(reinterpret_cast<T*>(p), I, a, b);
    uint64_t r = 0;
    memcpy(&r, &o, sizeof o);
    return r;
  }

  void atomic(Block& b, Warp& w, const Inst& I) {
    uint64_t A[32];
    uint8_t* P[32];
    addresses(w, I, I.base ? I.op[1] : 0, A);
    lastAddr_ = A[std::countr_zero(w.mask)];
    resolve(b, w, I, A, I.width, Rmw, P);
    bool wide = I.regw == 8, cas = I.sub == ACas;
    uint32_t first = shuffle_ ? rng_.below(32) : 0;
    for (uint32_t k = 0; k < 32; k++) {
      uint32_t l = (first + k) & 31;
      if (!(w.mask >> l & 1)) continue;
      uint64_t v = wide ? w.in<uint64_t>(I.op[2])[l] : w.in<uint32_t>(I.op[2])[l], c = 0, o;
      if (cas) c = wide ? w.in<uint64_t>(I.op[3])[l] : w.in<uint32_t>(I.op[3])[l];
      switch (I.type) {
        case TU16:
        case TB16:
        case TS16:
          o = rmw_bits<uint16_t>(P[l], I, v, c);
          break;
        case TS32:
          o = rmw_bits<int32_t>(P[l], I, v, c);
          break;
        case TF32:
          o = rmw_bits<float>(P[l], I, v, c);
          break;
        case TU64:
        case TB64:
          o = rmw_bits<uint64_t>(P[l], I, v, c);
          break;
        case TS64:
          o = rmw_bits<int64_t>(P[l], I, v, c);
          break;
        case TF64:
          o = rmw_bits<double>(P[l], I, v, c);
          break;
        default:
          o = rmw_bits<uint32_t>(P[l], I, v, c);
          break;
      }
      if (wide)
        w.out<uint64_t>(I.op[0])[l] = o;
      else
        w.out<uint32_t>(I.op[0])[l] = uint32_t(o);
    }
  }

  void async_copy(Block& b, Warp& w, const Inst& I) {
    uint64_t D[32], S[32];
    uint8_t *PD[32], *PS[32];
    memcpy(D, w.in<uint64_t>(I.op[0]), sizeof D);
    memcpy(S, w.in<uint64_t>(I.op[1]), sizeof S);
    const uint32_t* n = w.in<uint32_t>(I.op[2]);
    uint32_t f = uint32_t(std::countr_zero(w.mask));
    for (int l = 0; l < 32; l++)
      if (!(w.mask >> l & 1)) {
        D[l] = D[f];
        S[l] = S[f];
      }
    uint32_t some = 0;
    for (int l = 0; l < 32; l++)
      if ((w.mask >> l & 1) && n[l]) some |= 1u << l;
    if (some) {
      uint32_t g = uint32_t(std::countr_zero(some));
      for (int l = 0; l < 32; l++)
        if (!(some >> l & 1)) S[l] = S[g];
      global(w, S, some, n[g], Read, PS, I.width);
    }
    shared(b, w, D, w.mask, I.width, Write, PD, I.width, false);
    for (int l = 0; l < 32; l++)
      if (w.mask >> l & 1) {
        uint32_t k = std::min<uint32_t>(n[l], I.width);
        if (k) memcpy(PD[l], PS[l], k);
        memset(PD[l] + k, 0, I.width - k);
      }
  }

  // -------------------------------------------------------------- vprintf, __assertfail

  std::string device_string(uint64_t a) {
    std::string s;
    while (s.size() < 65536) {
      const Alloc* x = mem::find(a);
      if (!x) {
        s += "<bad pointer>";
        break;
      }
      char ch = *reinterpret_cast<char*>(a + uint64_t(x->delta));
      if (!ch) break;
      s += ch;
      a++;
    }
    return s;
  }

  void builtin(Block& b, Warp& w, const Inst& I) {
    auto& args = c_.calls[I.target];
    for (uint32_t l = 0; l < 32; l++) {
      if (!(w.mask >> l & 1)) continue;
      uint8_t* base = b.local.data() + size_t(w.id) * 32 * c_.local_bytes + size_t(l) * c_.local_bytes;
      auto arg = [&](size_t i, size_t n) {
        uint64_t v = 0;
        if (i < args.size()) memcpy(&v, base + args[i], n);
        return v;
      };
      if (I.sub == 2) {
        uint32_t t = w.id * 32 + l;
        std::string msg = strf("%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.",
                               device_string(arg(1, 8)).c_str(), unsigned(arg(2, 4)), device_string(arg(3, 8)).c_str(),
                               b.cta[0], b.cta[1], b.cta[2], t % d_.block[0], t / d_.block[0] % d_.block[1],
                               t / d_.block[0] / d_.block[1], device_string(arg(0, 8)).c_str());
        fault(w, l, k_err_assert, msg);
      }
      std::string f = device_string(arg(0, 8)), out;
      uint64_t va = arg(1, 8);
      uint64_t off = 0;
      auto take = [&](uint32_t n) -> uint64_t {
        off = (off + n - 1) / n * n;
        uint64_t v = 0;
        if ((va & k_win_mask) == k_local_win) memcpy(&v, base + (va - k_local_win) + off, n);
        off += n;
        return v;
      };
      for (size_t i = 0; i < f.size(); i++) {
        if (f[i] != '%') {
          out += f[i];
          continue;
        }
        size_t e = i + 1;
        if (e < f.size() && f[e] == '%') {
          out += '%';
          i = e;
          continue;
        }
        std::string spec = "%";
        int longs = 0;
        while (e < f.size() && strchr("-+ #0123456789.*", f[e])) {
          if (f[e] == '*')
            spec += std::to_string(int(take(4)));
          else
            spec += f[e];
          e++;
        }
        while (e < f.size() && strchr("hljztL", f[e])) {
          if (f[e] == 'l' || f[e] == 'j' || f[e] == 'z' || f[e] == 't') longs++;
          e++;
        }
        if (e >= f.size()) break;
        char cv = f[e];
        if (strchr("di", cv)) {
          int64_t v = longs ? int64_t(take(8)) : int32_t(take(4));
          out += strf((spec + "lld").c_str(), (long long)v);
        } else if (strchr("uxXo", cv)) {
          uint64_t v = longs ? take(8) : uint32_t(take(4));
          out += strf((spec + "ll" + cv).c_str(), (unsigned long long)v);
        } else if (cv == 'c')
          out += char(take(4));
        else if (cv == 'p')
          out += strf("0x%llx", (unsigned long long)take(8));
        else if (cv == 's')
          out += strf((spec + "s").c_str(), device_string(take(8)).c_str());
        else if (strchr("feEgGaAF", cv)) {
          uint64_t v = take(8);
          double dd;
          memcpy(&dd, &v, 8);
          out += strf((spec + cv).c_str(), dd);
        }
        i = e;
      }
      fwrite(out.data(), 1, out.size(), stdout);
      if (I.imm >= 0) {
        uint32_t n = uint32_t(out.size());
        memcpy(base + I.imm, &n, 4);
      }
    }
  }
};

}  // namespace

void run_kernel(const LaunchDesc& d) {
  const Code* code;
  try {
    code = &d.kernel->get(d.device);
  } catch (const ParseError& e) {
    throw DeviceFault{218, "cannot decode kernel " + d.kernel->pretty + ": " + e.text};
  }
  auto t0 = std::chrono::steady_clock::now();
  if (d.workspace) {
    const uint32_t init[2] = {8, 0};
    memcpy(mem::host(d.workspace), init, 8);
    mem::mark_init(d.workspace, 8);
  }
  if (config().stats) stats::begin_launch();
  Shared sh;
  uint64_t total = uint64_t(d.grid[0]) * d.grid[1] * d.grid[2];
  if (config().shuffle) {
    // Order of blocks: shuffled within windows, so that a block never waits for one that is far behind.
    static uint64_t launches = 0;
    Rng rng(config().warp_order * 7919 + launches++);
    sh.order.resize(total);
    for (uint64_t i = 0; i < total; i++) sh.order[i] = i;
    constexpr uint64_t win = 4;
    for (uint64_t b = 0; b < total; b += win)
      for (uint64_t n = std::min(win, total - b); n > 1; n--)
        std::swap(sh.order[b + n - 1], sh.order[b + rng.below(uint32_t(n))]);
  }
  int n = int(std::min<uint64_t>(uint64_t(config().threads), total));
  Counters sum;
  auto work = [&](int i, Counters& out) {
    Runner r(d, *code, sh, config().warp_order * 1000003 + uint64_t(i));
    try {
      r.run();
    } catch (const DeviceFault& f) {
      std::lock_guard<std::mutex> g(sh.mu);
      if (!sh.fault) sh.fault = std::make_unique<DeviceFault>(f);
      sh.stop = true;
    }
    out = r.counters;
  };
  if (n <= 1)
    work(0, sum);
  else {
    std::vector<std::thread> ts;
    std::vector<Counters> cs(static_cast<size_t>(n));
    for (int i = 0; i < n; i++) ts.emplace_back(work, i, std::ref(cs[size_t(i)]));
    for (auto& t : ts) t.join();
    for (auto& c : cs) sum.add(c);
  }
  fflush(stdout);
  if (config().stats)
    stats::end_launch(d.kernel->pretty, sum, d.grid, d.block, code->regs_per_thread, code->static_shared, d.dyn_shared,
                      std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count());
  if (sh.fault) throw *sh.fault;
}

}  // namespace ptxrun
