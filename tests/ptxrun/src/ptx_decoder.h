// Decodes the body of a kernel into an instruction array. Calls of .func bodies are inlined. Virtual registers are
// mapped onto a small register file by liveness and linear scan.
#pragma once
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

#include "common.h"
#include "memory.h"
#include "ptx.h"
#include "ptx_text.h"

namespace ptxrun {

const std::unordered_map<std::string, Sreg>& sregs();  // special registers by name

struct Sym {
  enum Type : uint8_t { Reg, Range, Local, Shared, KParam } t;
  uint32_t id = 0, count = 0;  // register number, or offset
  uint8_t cls = 0;             // 0 predicate, 4 or 8 bytes
};

struct Scope {
  int parent;
  std::unordered_map<std::string, Sym> syms;
  std::unordered_map<std::string, uint32_t> labels;
  std::unordered_map<std::string, std::vector<std::string>> targets;  // .branchtargets
};

class Decoder {
 public:
  Decoder(Kernel& k, Code& c, int dev) : k_(k), m_(*k.module), c_(c), dev_(dev) {}

  void run() {
    c_.consts.reserve(4096);
    int sc = new_scope(-1);
    for (size_t i = 0; i < k_.params.size(); i++)
      scopes_[size_t(sc)].syms[k_.param_names[i]] = Sym{Sym::KParam, k_.params[i].offset, k_.params[i].size, 0};
    body(k_.body_begin, k_.body_end, sc, 0);
    Inst e;  // falling off the end is an exit
    e.kind = Kind::Exit;
    push(e, k_.body_end, {});
    for (auto& f : fixups_) {
      Inst& in = c_.insts[f.inst];
      if (f.table < 0)
        in.target = find_label(f.scope, f.name);
      else
        c_.tables[size_t(f.table)].push_back(find_label(f.scope, f.name));
    }
    c_.vregs = uint32_t(cls_.size());
    allocate();
    c_.local_bytes = (c_.local_bytes + 15) & ~15u;
  }

 private:
  Kernel& k_;
  Module& m_;
  Code& c_;
  int dev_;
  std::vector<Scope> scopes_;
  std::vector<uint8_t> cls_;  // of each virtual register
  std::unordered_map<uint64_t, uint32_t> constW_, constD_, constP_;
  std::unordered_map<std::string, uint32_t> sregIds_;
  std::unordered_map<std::string, uint32_t> sharedVars_;
  struct Fixup {
    uint32_t inst;
    std::string name;
    int scope;
    int table;
  };
  std::vector<Fixup> fixups_;
  int curLoc_ = -1;
  std::unordered_map<std::string, int> locIndex_;
  int find_loc(uint32_t file, uint32_t line, uint32_t col) {
    std::string key = std::to_string(file) + ":" + std::to_string(line) + ":" + std::to_string(col);
    auto it = locIndex_.find(key);
    if (it != locIndex_.end()) return it->second;
    c_.locs.push_back({file, line, col, -1});
    return locIndex_[key] = int(c_.locs.size()) - 1;
  }
  size_t stmtPos_ = 0;
  std::string_view stmtText_;
  uint32_t cc_ = k_none;
  struct Frame {
    std::vector<uint32_t> rets;
  };
  std::vector<Frame*> frames_;

  int new_scope(int parent) {
    scopes_.push_back({parent, {}, {}, {}});
    return int(scopes_.size()) - 1;
  }
  uint32_t new_reg(uint8_t cls) {
    cls_.push_back(cls);
    return uint32_t(cls_.size() - 1);
  }

  [[noreturn]] void fail(const std::string& why) { throw ParseError{why}; }

  uint32_t find_label(int scope, const std::string& name) {
    for (int s = scope; s >= 0; s = scopes_[size_t(s)].parent) {
      auto it = scopes_[size_t(s)].labels.find(name);
      if (it != scopes_[size_t(s)].labels.end()) return it->second;
    }
    fail("unknown label " + name);
  }

  const Sym* lookup(int scope, const std::string& name, Sym& tmp) {
    size_t d = name.size();
    while (d > 0 && isdigit(static_cast<unsigned char>(name[d - 1]))) d--;
    for (int s = scope; s >= 0; s = scopes_[size_t(s)].parent) {
      auto& m = scopes_[size_t(s)].syms;
      auto it = m.find(name);
      if (it != m.end() && it->second.t != Sym::Range) return &it->second;
      if (d < name.size()) {
        it = m.find(name.substr(0, d));
        if (it != m.end() && it->second.t == Sym::Range) {
          uint32_t n = uint32_t(strtoul(name.c_str() + d, nullptr, 10));
          if (n < it->second.count) {
            tmp = it->second;
            tmp.t = Sym::Reg;
            tmp.id += n;
            return &tmp;
          }
        }
      }
    }
    return nullptr;
  }

  Inst& push(const Inst& in, size_t pos, std::string_view txt) {
    c_.insts.push_back(in);
    c_.meta.push_back({m_.line_of(pos), curLoc_, txt});
    return c_.insts.back();
  }
  Inst& emit(const Inst& in) {
    if (c_.insts.size() > 4000000) fail("the kernel grows too large when its calls are inlined");
    return push(in, stmtPos_, stmtText_);
  }

  uint32_t constant(uint64_t v, char sto) {
    auto& m = sto == 'd' ? constD_ : sto == 'p' ? constP_ : constW_;
    if (sto == 'w') v &= 0xffffffffu;
    auto it = m.find(v);
    if (it != m.end()) return it->second | k_const;
    while (c_.consts.size() % 64) c_.consts.push_back(0);
    uint32_t off = uint32_t(c_.consts.size());
    if (sto == 'p') {
      uint32_t x = v ? 0xffffffffu : 0;
      c_.consts.resize(off + 4);
      memcpy(c_.consts.data() + off, &x, 4);
    } else {
      size_t b = sto == 'd' ? 8 : 4;
      c_.consts.resize(off + 32 * b);
      for (int l = 0; l < 32; l++) memcpy(c_.consts.data() + off + size_t(l) * b, &v, b);
    }
    m[v] = off;
    return off | k_const;
  }

  uint32_t local_alloc(uint64_t size, uint64_t align) {
    align = std::max<uint64_t>(align, 1);
    c_.local_bytes = uint32_t((c_.local_bytes + align - 1) / align * align);
    uint32_t o = c_.local_bytes;
    c_.local_bytes += uint32_t(size);
    return o;
  }

  uint32_t shared_alloc(const std::string& name, uint64_t size, uint64_t align) {
    uint32_t end =
        c_.shared_ranges.empty() ? k_shared_static : (c_.shared_ranges.back().hi + 127) / 128 * 128 + 128;  // red zone
    align = std::max<uint64_t>(align, 4);
    uint32_t o = uint32_t((end + align - 1) / align * align);
    c_.shared_ranges.push_back({o, uint32_t(o + size), name});
    c_.static_shared += uint32_t((size + 15) / 16 * 16);
    return o;
  }

  // Address of a symbol; false when the name is not one.
  bool symbol_address(int scope, const std::string& name, uint64_t& addr, Space& space) {
    Sym tmp;
    if (const Sym* s = lookup(scope, name, tmp)) {
      switch (s->t) {
        case Sym::Local:
          addr = s->id;
          space = Space::Local;
          return true;
        case Sym::Shared:
          addr = s->id;
          space = Space::Shared;
          return true;
        case Sym::KParam:
          addr = s->id;
          space = Space::Param;
          return true;
        default:
          return false;
      }
    }
    auto it = m_.vars.find(name);
    if (it == m_.vars.end()) return false;
    Variable& v = it->second;
    if (v.space == Space::Shared) {
      space = Space::Shared;
      if (v.external) {
        addr = k_shared_dynamic;
        return true;
      }
      auto sv = sharedVars_.find(name);
      if (sv == sharedVars_.end()) sv = sharedVars_.emplace(name, shared_alloc(name, v.size, v.align)).first;
      addr = sv->second;
      return true;
    }
    if (v.external)
      fail("external variable " + name + " has no definition in this module (separate compilation is not supported)");
    addr = m_.address(v, dev_);
    space = v.space;
    return true;
  }

  char reg_class(int scope, std::string_view name) {  // 'p','w','d' or 0 when not a register
    Sym tmp;
    std::string n(trim(name));
    if (!n.empty() && n[0] == '!') n = std::string(trim(n.substr(1)));
    const Sym* s = lookup(scope, n, tmp);
    if (s && s->t == Sym::Reg) return s->cls == 0 ? 'p' : s->cls == 4 ? 'w' : 'd';
    if (sregs().count(n)) return 'w';
    return 0;
  }

  uint32_t sreg_reg(const std::string& n, Sreg id) {
    auto it = sregIds_.find(n);
    if (it != sregIds_.end()) return it->second;
    uint32_t r = new_reg(4);
    sregIds_[n] = r;
    c_.specials.push_back({r, id});
    return r;
  }

  // A source operand in a slot of kind sto. sx: sign for widening when the register is narrower.
  uint32_t src(int scope, std::string_view text, char sto) {
    std::string s(trim(text));
    if (s.empty()) fail("missing operand");
    if (s[0] == '!' && sto == 'p') {
      uint32_t a = src(scope, s.substr(1), 'p');
      uint32_t t = new_reg(0);
      alu("not.p", {t}, {a});
      return t;
    }
    Sym tmp;
    if (const Sym* y = lookup(scope, s, tmp); y && y->t == Sym::Reg) {
      char have = y->cls == 0 ? 'p' : y->cls == 4 ? 'w' : 'd';
      if (have == sto) return y->id;
      if (have == 'd' && sto == 'w') {
        uint32_t t = new_reg(4);
        alu("cvt.u32.u64", {t}, {y->id});
        return t;
      }
      if (have == 'w' && sto == 'd') {
        uint32_t t = new_reg(8);
        alu("cvt.u64.u32", {t}, {y->id});
        return t;
      }
      fail("operand " + s + " has the wrong kind of register");
    }
    if (auto it = sregs().find(s); it != sregs().end()) {
      uint32_t r = sreg_reg(s, it->second);
      if (sto == 'w') return r;
      if (sto == 'd') {
        uint32_t t = new_reg(8);
        alu("cvt.u64.u32", {t}, {r});
        return t;
      }
      fail("special register in a predicate place");
    }
    if (s.size() > 2 && s[0] == '0' && (s[1] == 'f' || s[1] == 'F')) {
      uint64_t bits = strtoull(s.c_str() + 2, nullptr, 16);
      if (sto == 'd') {
        float f;
        uint32_t b = uint32_t(bits);
        memcpy(&f, &b, 4);
        double d = f;
        memcpy(&bits, &d, 8);
      }
      return constant(bits, sto);
    }
    if (s.size() > 2 && s[0] == '0' && (s[1] == 'd' || s[1] == 'D')) {
      uint64_t bits = strtoull(s.c_str() + 2, nullptr, 16);
      if (sto == 'w') {
        double d;
        memcpy(&d, &bits, 8);
        float f = float(d);
        uint32_t b;
        memcpy(&b, &f, 4);
        bits = b;
      }
      return constant(bits, sto);
    }
    bool is_num;
    uint64_t v = parse_int(s, &is_num);
    if (is_num) return constant(v, sto);
    uint64_t a;
    Space sp;
    size_t plus = s.find('+');
    std::string nm(trim(std::string_view(s).substr(0, plus)));
    if (symbol_address(scope, nm, a, sp)) {
      if (plus != s.npos) a += parse_int(s.substr(plus + 1));
      return constant(a, sto);
    }
    fail("unknown operand '" + s + "'");
  }

  uint32_t dst(int scope, std::string_view text, char sto) {
    std::string s(trim(text));
    if (s == "_") return new_reg(sto == 'p' ? 0 : sto == 'w' ? 4 : 8);
    Sym tmp;
    const Sym* y = lookup(scope, s, tmp);
    if (!y || y->t != Sym::Reg) fail("destination '" + s + "' is not a register");
    char have = y->cls == 0 ? 'p' : y->cls == 4 ? 'w' : 'd';
    if (have != sto) fail("destination " + s + " has the wrong kind of register");
    return y->id;
  }

  // Guard of the statement being decoded; applied to everything emitted for it.
  uint32_t guard_ = k_none;
  bool guardNeg_ = false;

  Inst& alu(const std::string& key, std::vector<uint32_t> d, std::vector<uint32_t> s, int64_t imm = 0) {
    const AluEntry* e = find_alu(key);
    if (!e) fail("instruction '" + key + "' is not implemented");
    Inst in;
    in.kind = Kind::Alu;
    in.f[0] = e->f0;
    in.f[1] = e->f1;
    in.guard = guard_;
    in.guard_neg = guardNeg_;
    in.ndef = uint8_t(d.size());
    in.nop = uint8_t(d.size() + s.size());
    in.imm = imm;
    size_t i = 0;
    for (auto x : d) in.op[i++] = x;
    for (auto x : s) in.op[i++] = x;
    return emit(in);
  }

  // [reg], [reg+off], [symbol], [symbol+off], [number]; sets base, imm, op[slot], and the space when the symbol has
  // one.
  void address(int scope, std::string_view text, Inst& in, size_t slot, bool& symbolic) {
    auto s = trim(text);
    if (s.empty() || s.front() != '[' || s.back() != ']') fail("expected an address, found '" + std::string(s) + "'");
    s = trim(s.substr(1, s.size() - 2));
    symbolic = false;
    size_t e = 0;
    while (e < s.size() && is_ident(s[e])) e++;
    std::string name(s.substr(0, e));
    auto rest = trim(s.substr(e));
    int64_t off = 0;
    if (!rest.empty()) {
      if (rest[0] == '+')
        off = int64_t(parse_int(rest.substr(1)));
      else if (rest[0] == '-')
        off = -int64_t(parse_int(rest.substr(1)));
      else
        fail("bad address '" + std::string(s) + "'");
    }
    in.op[slot] = k_none;
    Sym tmp;
    if (const Sym* y = lookup(scope, name, tmp); y && y->t == Sym::Reg) {
      in.op[slot] = y->id;
      in.base = y->cls;
      in.imm = off;
      return;
    }
    in.base = 0;
    bool num;
    uint64_t v = parse_int(s, &num);
    if (num && isdigit(static_cast<unsigned char>(name.empty() ? 'x' : name[0]))) {
      in.imm = int64_t(v);
      return;
    }
    uint64_t a;
    Space sp;
    if (!symbol_address(scope, name, a, sp)) fail("unknown address '" + std::string(s) + "'");
    in.imm = int64_t(a) + off;
    symbolic = true;
    if (in.space == Space::Generic) {
      in.space = sp;
    } else if (in.space == Space::Param && sp == Space::Local) {
      in.space = Space::Local;  // a call parameter lives in the local frame
    }
  }

  static std::vector<std::string_view> vec_operand(std::string_view s) {
    s = trim(s);
    if (!s.empty() && s.front() == '{') return split_top(s.substr(1, s.size() - 2));
    return {s};
  }

  void body(size_t b, size_t e, int scope, int depth);
  void directive(std::string_view st, int scope);
  void statement(std::string_view st, int scope, int depth);
  void decode(const std::string& opc, const std::vector<std::string_view>& ops, int scope, int depth);
  void memory(const std::vector<std::string>& parts, const std::vector<std::string_view>& ops, int scope);
  void atomic(const std::vector<std::string>& parts, const std::vector<std::string_view>& ops, int scope);
  void call(const std::vector<std::string>& parts, std::string_view args, int scope, int depth);
  void cvt(const std::vector<std::string>& parts, const std::vector<std::string_view>& ops, int scope);
  void allocate();
};

}  // namespace ptxrun
