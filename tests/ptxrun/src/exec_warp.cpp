// Barriers of a block, and operations of a whole warp: shuffle, vote, match, reduce, elect, synchronise.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "exec_runner.h"

namespace ptxrun {

namespace {

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

}  // namespace

void Runner::exit_lanes(Block& b, Warp& w, uint32_t m) {
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

void Runner::check_barrier(Block& b, uint32_t id, Warp& reporter) {
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

void Runner::arrive(Block& b, Warp& w, const Inst& I, uint32_t pc, uint32_t m, bool wait) {
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

bool Runner::warp_op(Block& b, Warp& w, const Inst& I, uint32_t pc, uint32_t m) {
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

void Runner::resolve_warp(Block& b, Warp& w) {
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

void Runner::exec_warp_op(Block& b, Warp& w, const Inst& I, uint32_t m) {
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

}  // namespace ptxrun
