// Counts sectors and bank conflicts of an access, and finds uninitialised bytes and races.
#include <algorithm>
#include <bit>
#include <cstring>

#include "exec_runner.h"

namespace ptxrun {

namespace {

uint64_t same(const uint64_t* A, uint32_t mask) {  // lanes whose address an earlier lane already has
  uint64_t s[32];
  int n = 0;
  for (int l = 0; l < 32; l++)
    if (mask >> l & 1) s[n++] = A[l];
  std::sort(s, s + n);
  return uint64_t(n - (std::unique(s, s + n) - s));
}

}  // namespace

void Runner::count_sectors(const uint64_t* A, uint32_t mask, uint32_t size, What what, bool host) {
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

void Runner::count_banks(const uint64_t* A, uint32_t mask, uint32_t size, What what) {
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

void Runner::initcheck(Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what) {
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

void Runner::racecheck(Block& b, Warp& w, const uint64_t* A, uint32_t mask, uint32_t size, What what, bool vol) {
  const auto& vc = b.clocks[w.id];
  uint16_t ep = b.epoch[w.id];
  uint8_t at = what == Rmw || vol;
  auto bad = [&](uint32_t l, uint64_t a, uint16_t other, const char* kind) {
    fault(
        w, l, k_err_launch_failure,
        strf("race: %s hazard on shared memory at 0x%llx between thread %u and thread %u with no barrier between them",
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

}  // namespace ptxrun
