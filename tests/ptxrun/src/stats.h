// Performance counters of kernels.
#pragma once
#include <cstdint>
#include <string>

namespace ptxrun {

struct Counters {
  uint64_t warpInst = 0, threadInst = 0, predInst = 0;  // issued; active lanes; lanes whose guard holds
  uint64_t branches = 0, divergentBranches = 0;
  uint64_t gldReq = 0, gldSectors = 0, gldBytes = 0, gstReq = 0, gstSectors = 0, gstBytes = 0;
  uint64_t uniqueRead = 0, uniqueWritten = 0;  // distinct sectors of a launch, summed over launches
  uint64_t hostReq = 0;                        // requests to pinned or managed memory (part of the above)
  uint64_t sldReq = 0, sldWave = 0, sldIdeal = 0, sstReq = 0, sstWave = 0, sstIdeal = 0;
  uint64_t gatomReq = 0, gatomLanes = 0, gatomSectors = 0, gatomSame = 0, satomReq = 0, satomLanes = 0, satomSame = 0;
  uint64_t localReq = 0, localBytes = 0;
  uint64_t barriers = 0, warpSyncs = 0, shuffles = 0;
  void add(const Counters& o);
};

namespace stats {
bool on();
void beginLaunch();
uint64_t touchRead(uint64_t sectorAddr);  // note a sector of the arena
void touchWrite(uint64_t sectorAddr);
void endLaunch(const std::string& kernel, const Counters& c, const uint32_t* grid, const uint32_t* block, uint32_t regs,
               uint32_t staticShared, uint32_t dynShared, double seconds);
void writeReport();
}  // namespace stats

}  // namespace ptxrun
