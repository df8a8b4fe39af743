// Assigns registers to the virtual ones, and gives a kernel its code.
#include "ptx_decoder.h"

namespace ptxrun {

void Decoder::allocate() {
  size_t n = c_.insts.size(), v = cls_.size();
  std::vector<uint32_t> lead(n + 1, 0);
  lead[0] = 1;
  auto is_branch = [](const Inst& i) {
    return i.kind == Kind::Bra || i.kind == Kind::BrxIdx || i.kind == Kind::Exit || i.kind == Kind::Trap;
  };
  for (size_t i = 0; i < n; i++) {
    const Inst& in = c_.insts[i];
    if (in.kind == Kind::Bra) lead[in.target] = 1;
    if (in.kind == Kind::BrxIdx)
      for (auto t : c_.tables[in.target]) lead[t] = 1;
    if (is_branch(in)) lead[i + 1] = 1;
  }
  std::vector<uint32_t> bb(n), start;
  for (size_t i = 0; i < n; i++) {
    if (lead[i]) start.push_back(uint32_t(i));
    bb[i] = uint32_t(start.size() - 1);
  }
  size_t nb = start.size(), w = (v + 63) / 64;
  start.push_back(uint32_t(n));
  std::vector<uint64_t> use(nb * w), def(nb * w), in(nb * w), out(nb * w);
  auto setb = [&](std::vector<uint64_t>& s, size_t b, uint32_t r) { s[b * w + r / 64] |= 1ull << (r % 64); };
  auto getb = [&](std::vector<uint64_t>& s, size_t b, uint32_t r) { return s[b * w + r / 64] >> (r % 64) & 1; };
  auto is_reg = [](uint32_t o) { return o != k_none && !(o & k_const); };
  auto for_uses = [&](const Inst& i, auto f) {
    if (is_reg(i.guard)) f(i.guard);
    for (int j = i.ndef; j < i.nop; j++)
      if (is_reg(i.op[j])) f(i.op[j]);
    if (i.guard != k_none)
      for (int j = 0; j < i.ndef; j++)
        if (is_reg(i.op[j])) f(i.op[j]);  // partial writes keep the rest
  };
  std::vector<std::vector<uint32_t>> succ(nb);
  for (size_t b = 0; b < nb; b++) {
    for (uint32_t i = start[b]; i < start[b + 1]; i++) {
      const Inst& x = c_.insts[i];
      for_uses(x, [&](uint32_t r) {
        if (!getb(def, b, r)) setb(use, b, r);
      });
      for (int j = 0; j < x.ndef; j++)
        if (is_reg(x.op[j])) setb(def, b, x.op[j]);
    }
    const Inst& l = c_.insts[start[b + 1] - 1];
    if (l.kind == Kind::Bra) {
      succ[b].push_back(bb[l.target]);
      if (l.guard != k_none && start[b + 1] < n) succ[b].push_back(uint32_t(b + 1));
    } else if (l.kind == Kind::BrxIdx) {
      for (auto t : c_.tables[l.target]) succ[b].push_back(bb[t]);
      if (l.guard != k_none && start[b + 1] < n) succ[b].push_back(uint32_t(b + 1));
    } else if ((l.kind == Kind::Exit || l.kind == Kind::Trap) && l.guard == k_none) {
    } else if (start[b + 1] < n)
      succ[b].push_back(uint32_t(b + 1));
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t b = nb; b-- > 0;) {
      for (size_t k = 0; k < w; k++) {
        uint64_t o = 0;
        for (auto s : succ[b]) o |= in[s * w + k];
        out[b * w + k] = o;
        uint64_t nin = use[b * w + k] | (o & ~def[b * w + k]);
        if (nin != in[b * w + k]) {
          in[b * w + k] = nin;
          changed = true;
        }
      }
    }
  }
  // Intervals: a use of instruction i is at 2i, a definition at 2i+1.
  std::vector<uint32_t> lo(v, ~0u), hi(v, 0);
  auto touch = [&](uint32_t r, uint32_t p) {
    lo[r] = std::min(lo[r], p);
    hi[r] = std::max(hi[r], p);
  };
  for (size_t b = 0; b < nb; b++) {
    for (size_t k = 0; k < w; k++) {
      for (uint64_t m = in [b * w + k]; m; m &= m - 1)
        touch(uint32_t(k * 64) + uint32_t(__builtin_ctzll(m)), 2 * start[b]);
      for (uint64_t m = out[b * w + k]; m; m &= m - 1)
        touch(uint32_t(k * 64) + uint32_t(__builtin_ctzll(m)), 2 * start[b + 1]);
    }
    for (uint32_t i = start[b]; i < start[b + 1]; i++) {
      for_uses(c_.insts[i], [&](uint32_t r) { touch(r, 2 * i); });
      for (int j = 0; j < c_.insts[i].ndef; j++)
        if (is_reg(c_.insts[i].op[j])) touch(c_.insts[i].op[j], 2 * i + 1);
    }
  }
  for (auto& s : c_.specials) {
    touch(s.off, 0);
    touch(s.off, uint32_t(2 * n));
  }
  std::vector<uint32_t> order;
  for (uint32_t r = 0; r < v; r++)
    if (lo[r] != ~0u) order.push_back(r);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return lo[a] != lo[b] ? lo[a] < lo[b] : a < b; });
  std::vector<uint32_t> slot(v, 0);
  std::vector<uint32_t> free_slots[3];
  uint32_t count[3] = {0, 0, 0};
  auto pool = [&](uint32_t r) { return cls_[r] == 0 ? 0 : cls_[r] == 8 ? 1 : 2; };
  using E = std::pair<uint32_t, uint32_t>;
  std::vector<E> active;  // heap by end, smallest first
  uint32_t pressure = 0, most = 0, fixed = 0;
  for (auto& x : c_.specials) fixed += cls_[x.off] / 4;  // not kept in registers by ptxas
  for (uint32_t r : order) {
    while (!active.empty() && active.front().first < lo[r]) {
      std::pop_heap(active.begin(), active.end(), std::greater<E>());
      uint32_t x = active.back().second;
      active.pop_back();
      free_slots[pool(x)].push_back(slot[x]);
      pressure -= cls_[x] / 4;
    }
    int p = pool(r);
    if (free_slots[p].empty())
      slot[r] = count[p]++;
    else {
      slot[r] = free_slots[p].back();
      free_slots[p].pop_back();
    }
    active.push_back({hi[r], r});
    std::push_heap(active.begin(), active.end(), std::greater<E>());
    pressure += cls_[r] / 4;
    most = std::max(most, pressure);
  }
  uint32_t pred_bytes = (count[0] * 4 + 63) / 64 * 64;
  auto offset = [&](uint32_t r) -> uint32_t {
    switch (pool(r)) {
      case 0:
        return slot[r] * 4;
      case 1:
        return pred_bytes + slot[r] * 256;
      default:
        return pred_bytes + count[1] * 256 + slot[r] * 128;
    }
  };
  c_.reg_bytes = pred_bytes + count[1] * 256 + count[2] * 128 + 64;
  c_.regs_per_thread = std::min(255u, std::max(10u, most - fixed + 4));
  for (auto& x : c_.insts) {
    if (is_reg(x.guard)) x.guard = offset(x.guard);
    for (auto& o : x.op)
      if (is_reg(o)) o = offset(o);
  }
  for (auto& s : c_.specials) s.off = offset(s.off);
}

const Code& Kernel::get(int device) {
  auto& p = code[device];
  if (!p) {
    auto c = std::make_unique<Code>();
    Decoder d(*this, *c, device);
    d.run();
    // Launch bounds limit the registers.
    if (uint32_t t = std::max(max_threads, req_threads)) {
      uint32_t warps = (t + 31) / 32 * std::max(min_blocks, 1u);
      c->regs_per_thread = std::min(c->regs_per_thread, std::max(16u, 65536 / (warps * 32) / 8 * 8));
    }
    p = std::move(c);
  }
  return *p;
}

}  // namespace ptxrun
