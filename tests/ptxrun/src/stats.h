// Performance counters of kernels.
#pragma once
#include <cstdint>
#include <string>

namespace ptxrun {

struct Counters {
  uint64_t warp_inst = 0, thread_inst = 0, pred_inst = 0;  // issued; active lanes; lanes whose guard holds
  uint64_t branches = 0, divergent_branches = 0;
  uint64_t gld_req = 0, gld_sectors = 0, gld_bytes = 0, gst_req = 0, gst_sectors = 0, gst_bytes = 0;
  uint64_t unique_read = 0, unique_written = 0;  // distinct sectors of a launch, summed over launches
  uint64_t host_req = 0;                         // requests to pinned or managed memory (part of the above)
  uint64_t sld_req = 0, sld_wave = 0, sld_ideal = 0, sst_req = 0, sst_wave = 0, sst_ideal = 0;
  uint64_t gatom_req = 0, gatom_lanes = 0, gatom_sectors = 0, gatom_same = 0, satom_req = 0, satom_lanes = 0,
           satom_same = 0;
  uint64_t local_req = 0, local_bytes = 0;
  uint64_t barriers = 0, warp_syncs = 0, shuffles = 0;
  void add(const Counters& o);
};

namespace stats {
bool on();
void begin_launch();
uint64_t touch_read(uint64_t sector_addr);  // note a sector of the arena
void touch_write(uint64_t sector_addr);
void end_launch(const std::string& kernel, const Counters& c, const uint32_t* grid, const uint32_t* block,
                uint32_t regs, uint32_t static_shared, uint32_t dyn_shared, double seconds);
void write_report();
}  // namespace stats

}  // namespace ptxrun
