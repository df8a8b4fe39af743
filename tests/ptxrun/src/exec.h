// The interpreter's state: a launch, its blocks, and their warps.
#pragma once
#include <cstdint>
#include <vector>

#include "ptx.h"

namespace ptxrun {

struct Block;

struct Group {  // lanes of a warp that share a program counter
  enum State : uint8_t { Run, WaitWarp, WaitBar };
  uint32_t pc, mask;
  State state;
  uint32_t bar;  // barrier number
};

struct Warp {
  uint8_t* r = nullptr;  // register file: [slot][lane]
  const uint8_t* consts = nullptr;
  uint32_t mask = 0;  // lanes that execute the current instruction
  uint32_t pc = 0;
  alignas(32) int32_t lm[32] = {};  // the mask, as one all-ones or zero word per lane
  uint32_t lm_mask = 0;
  Block* block = nullptr;
  uint32_t id = 0, initial = 0, alive = 0;
  std::vector<Group> groups;
  uint32_t mm[32] = {};  // member masks of lanes that wait in a warp-level operation
  uint64_t steps = 0;
  uint32_t rotate = 0;  // how often a spinning group gave way
  bool give_way = false;
  bool done = false;

  const uint8_t* src(uint32_t o) const { return (o & k_const) ? consts + (o & ~k_const) : r + o; }
  uint32_t pred(uint32_t o) const { return *reinterpret_cast<const uint32_t*>(src(o)); }
  uint32_t* pred_dst(uint32_t o) { return reinterpret_cast<uint32_t*>(r + o); }
  template <class T>
  const T* in(uint32_t o) const {
    return reinterpret_cast<const T*>(src(o));
  }
  template <class T>
  T* out(uint32_t o) {
    return reinterpret_cast<T*>(r + o);
  }
};

struct LaunchDesc {
  Kernel* kernel = nullptr;
  int device = 0;
  uint32_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  uint32_t dyn_shared = 0;
  bool cooperative = false;
  uint64_t workspace = 0;  // cooperative launch: grid barrier of cooperative_groups
  std::vector<uint8_t> params;
};

void run_kernel(const LaunchDesc& d);  // throws DeviceFault
bool peer_enabled(int from, int to);   // cudaDeviceEnablePeerAccess

}  // namespace ptxrun
