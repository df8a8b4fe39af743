// Interprets a warp in lockstep, with reconvergence at the lowest program counter, and launches kernels.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <thread>

#include "exec_runner.h"

namespace ptxrun {

Runner::Res Runner::run_warp(Block& b, Warp& w, uint64_t quantum) {
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
