// Runs the blocks of a launch on one host thread. The members are grouped by the source that defines them.
#pragma once
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common.h"
#include "exec.h"
#include "memory.h"
#include "stats.h"

namespace ptxrun {

inline constexpr uint32_t k_all = 0xffffffffu;
inline constexpr int k_err_invalid_ptr = 700, k_err_misaligned = 716, k_err_launch_failure = 719, k_err_assert = 710,
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

struct Shared {  // of one launch, for all host threads
  std::atomic<uint64_t> next_block{0};
  std::atomic<bool> stop{false};
  std::mutex mu;
  std::unique_ptr<DeviceFault> fault;
  std::vector<uint64_t> order;  // shuffled block order (within a window)
};

enum What { Read, Write, Rmw };
inline const char* verb(What x) { return x == Read ? "read" : x == Write ? "write" : "atomic operation"; }

class Runner {
 public:
  Runner(const LaunchDesc& d, const Code& c, Shared& sh, uint64_t seed);
  Counters counters;

  void run();

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

  // exec_block.cpp: which block and warp run next
  void start(Block& b, uint64_t linear);
  void special(Block& b, Warp& w, uint32_t off, uint8_t id);
  Slice slice(Block& b);

  // ptx_exec.cpp: a warp, until it waits
  Res run_warp(Block& b, Warp& w, uint64_t quantum);

  // exec_report.cpp: faults, vprintf and __assertfail
  std::string where(const Warp& w, uint32_t lane, uint32_t pc);
  [[noreturn]] void fault(const Warp& w, uint32_t lane, int code, const std::string& what);
  [[noreturn]] void deadlock(Block& b);
  std::string device_string(uint64_t a);
  void builtin(Block& b, Warp& w, const Inst& I);

  // exec_warp.cpp: groups of lanes, barriers, and operations of a whole warp
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
  void exit_lanes(Block& b, Warp& w, uint32_t m);
  void check_barrier(Block& b, uint32_t id, Warp& reporter);
  void arrive(Block& b, Warp& w, const Inst& I, uint32_t pc, uint32_t m, bool wait);
  // A warp-level operation with mask m of lanes at pc. True: all members are here and it was executed.
  bool warp_op(Block& b, Warp& w, const Inst& I, uint32_t pc, uint32_t m);
  void resolve_warp(Block& b, Warp& w);
  void exec_warp_op(Block& b, Warp& w, const Inst& I, uint32_t m);

  // exec_access.cpp: from the addresses of an access to those of the host, after all checks
  void addresses(Warp& w, const Inst& I, uint32_t op, uint64_t* A);
  void global(Warp& w, uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P, uint32_t align);
  [[noreturn]] void bad_global(Warp& w, uint32_t l, uint64_t a, uint32_t size, What what);
  uint8_t* shared_ptr(Block& b, uint64_t a, uint32_t size);
  void shared(Block& b, Warp& w, uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P, uint32_t align,
              bool vol);
  [[noreturn]] void bad_shared(Warp& w, uint32_t l, uint64_t a, uint32_t size, What what);
  void local_mem(Block& b, Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P,
                 uint32_t align);
  void param_mem(Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, uint8_t** P);
  // Host addresses of an access, after all checks. Lanes outside the mask get a valid address too.
  void resolve(Block& b, Warp& w, const Inst& I, uint64_t* A, uint32_t size, What what, uint8_t** P);

  // exec_checks.cpp: sectors and banks of an access, initialisation, races
  void count_sectors(const uint64_t* A, uint32_t mask, uint32_t size, What what, bool host);
  void count_banks(const uint64_t* A, uint32_t mask, uint32_t size, What what);
  void initcheck(Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what);
  void racecheck(Block& b, Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, bool vol);

  // exec_memory.cpp: the instructions that access memory
  void load(Block& b, Warp& w, const Inst& I);
  void store(Block& b, Warp& w, const Inst& I);
  void atomic(Block& b, Warp& w, const Inst& I);
  void async_copy(Block& b, Warp& w, const Inst& I);
};

}  // namespace ptxrun
