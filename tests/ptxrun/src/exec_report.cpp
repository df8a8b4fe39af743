// What a kernel reports: where a fault happened, deadlocks, printf and assert.
#include <bit>
#include <cstdio>
#include <cstring>

#include "exec_runner.h"

namespace ptxrun {

std::string Runner::where(const Warp& w, uint32_t lane, uint32_t pc) {
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

void Runner::fault(const Warp& w, uint32_t lane, int code, const std::string& what) {
  throw DeviceFault{code, "error: " + what + "\n" + where(w, lane, w.pc)};
}

void Runner::deadlock(Block& b) {
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

std::string Runner::device_string(uint64_t a) {
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

void Runner::builtin(Block& b, Warp& w, const Inst& I) {
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

}  // namespace ptxrun
