// The order in which blocks and their warps run, and what a block starts with.
#include <algorithm>
#include <cstring>

#include "exec_runner.h"

namespace ptxrun {

Runner::Runner(const LaunchDesc& d, const Code& c, Shared& sh, uint64_t seed) : d_(d), c_(c), sh_(sh), rng_(seed) {
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

void Runner::run() {
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

void Runner::start(Block& b, uint64_t linear) {
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

void Runner::special(Block& b, Warp& w, uint32_t off, uint8_t id) {
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

Runner::Slice Runner::slice(Block& b) {
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

}  // namespace ptxrun
