// Reads PTX: the module level (variables, entries, functions), and the body of a kernel, which is
// decoded into an instruction array at its first use. Calls of .func bodies are inlined. Virtual
// registers are mapped onto a small register file by liveness and linear scan.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

#include "common.h"
#include "memory.h"
#include "ptx.h"

namespace ptxrun {

namespace {

bool is_ident(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%'; }
std::string_view trim(std::string_view s) {
  while (!s.empty() && isspace(static_cast<unsigned char>(s.front()))) s.remove_prefix(1);
  while (!s.empty() && isspace(static_cast<unsigned char>(s.back()))) s.remove_suffix(1);
  return s;
}
std::vector<std::string_view> split_top(std::string_view s, char sep = ',') {
  std::vector<std::string_view> out;
  int depth = 0;
  size_t st = 0;
  for (size_t i = 0; i < s.size(); i++) {
    char c = s[i];
    if (c == '{' || c == '[' || c == '(')
      depth++;
    else if (c == '}' || c == ']' || c == ')')
      depth--;
    else if (c == sep && !depth) {
      out.push_back(trim(s.substr(st, i - st)));
      st = i + 1;
    }
  }
  auto last = trim(s.substr(st));
  if (!last.empty() || !out.empty()) out.push_back(last);
  return out;
}

struct TypeInfo {
  TypeId id;
  uint8_t bytes;
  bool sgn, flt;
};
const std::unordered_map<std::string, TypeInfo>& types() {
  static const std::unordered_map<std::string, TypeInfo> t = {
      {"u8", {TU8, 1, 0, 0}},     {"s8", {TS8, 1, 1, 0}},     {"b8", {TB8, 1, 0, 0}},     {"u16", {TU16, 2, 0, 0}},
      {"s16", {TS16, 2, 1, 0}},   {"b16", {TB16, 2, 0, 0}},   {"f16", {TF16, 2, 0, 1}},   {"bf16", {TF16, 2, 0, 1}},
      {"u32", {TU32, 4, 0, 0}},   {"s32", {TS32, 4, 1, 0}},   {"b32", {TB32, 4, 0, 0}},   {"f32", {TF32, 4, 0, 1}},
      {"f16x2", {TB32, 4, 0, 0}}, {"u64", {TU64, 8, 0, 0}},   {"s64", {TS64, 8, 1, 0}},   {"b64", {TB64, 8, 0, 0}},
      {"f64", {TF64, 8, 0, 1}},   {"pred", {TPred, 1, 0, 0}}, {"b128", {TB128, 16, 0, 0}}};
  return t;
}

uint64_t parse_int(std::string_view s, bool* ok = nullptr) {
  std::string t(trim(s));
  bool neg = false;
  size_t i = 0;
  while (i < t.size() && (t[i] == '-' || t[i] == '+' || t[i] == ' ')) {
    if (t[i] == '-') neg = !neg;
    i++;
  }
  if (ok) *ok = i < t.size() && isdigit(static_cast<unsigned char>(t[i]));
  if (!t.empty() && (t.back() == 'U')) t.pop_back();
  char* e = nullptr;
  uint64_t v;
  if (t.compare(i, 2, "0b") == 0 || t.compare(i, 2, "0B") == 0)
    v = strtoull(t.c_str() + i + 2, &e, 2);
  else
    v = strtoull(t.c_str() + i, &e, 0);
  return neg ? 0 - v : v;
}

size_t match_brace(const std::string& t, size_t open) {  // index of the closing brace
  int d = 0;
  for (size_t i = open; i < t.size(); i++) {
    if (t[i] == '"') {
      for (i++; i < t.size() && t[i] != '"'; i++)
        if (t[i] == '\\') i++;
      continue;
    }
    if (t[i] == '{') d++;
    if (t[i] == '}' && --d == 0) return i;
  }
  throw ParseError{"unbalanced braces in PTX"};
}

void blank_comments(std::string& t) {
  for (size_t i = 0; i + 1 < t.size(); i++) {
    if (t[i] == '"') {
      for (i++; i < t.size() && t[i] != '"'; i++)
        if (t[i] == '\\') i++;
      continue;
    }
    if (t[i] == '/' && t[i + 1] == '/')
      while (i < t.size() && t[i] != '\n') t[i++] = ' ';
    else if (t[i] == '/' && t[i + 1] == '*') {
      size_t e = t.find("*/", i + 2);
      if (e == std::string::npos) e = t.size() - 2;
      for (; i < e + 2; i++)
        if (t[i] != '\n') t[i] = ' ';
    }
  }
}

std::vector<std::string_view> words(std::string_view s) {
  std::vector<std::string_view> w;
  size_t i = 0;
  while (i < s.size()) {
    while (i < s.size() && isspace(static_cast<unsigned char>(s[i]))) i++;
    size_t b = i;
    while (i < s.size() && !isspace(static_cast<unsigned char>(s[i]))) i++;
    if (i > b) w.push_back(s.substr(b, i - b));
  }
  return w;
}

// Declaration of a variable or parameter without its state space: alignment, element type, name, size.
struct Decl {
  std::string name;
  uint64_t align = 0, elem = 1, size = 0;
  TypeId type = TNone;
  bool unsized_array = false;
};
Decl parse_decl(std::string_view s) {
  Decl d;
  std::string t(s);
  for (size_t i = 0; (i = t.find('[', i)) != std::string::npos;) {  // "name [4]" -> "name[4]"
    size_t j = i;
    while (j > 0 && isspace(static_cast<unsigned char>(t[j - 1]))) j--;
    t.erase(j, i - j);
    i = j + 1;
  }
  auto w = words(t);
  uint64_t vec = 1;
  for (size_t i = 0; i < w.size(); i++) {
    std::string x(w[i]);
    if (x == ".align" && i + 1 < w.size()) {
      if (!d.align) d.align = parse_int(w[i + 1]);
      i++;
      continue;
    }
    if (x == ".ptr") {  // .ptr [.space] [.align n]
      while (i + 1 < w.size() && w[i + 1][0] == '.') {
        if (w[i + 1] == ".align") i++;
        i++;
      }
      continue;
    }
    if (x[0] == '.') {
      if (x == ".v2")
        vec = 2;
      else if (x == ".v4")
        vec = 4;
      auto it = types().find(x.substr(1));
      if (it != types().end()) {
        d.elem = it->second.bytes;
        d.type = it->second.id;
      }
      continue;
    }
    size_t br = x.find('[');
    d.name = x.substr(0, br);
    d.size = d.elem * vec;
    while (br != std::string::npos) {
      size_t e = x.find(']', br);
      auto in = x.substr(br + 1, e - br - 1);
      if (trim(in).empty()) {
        d.unsized_array = true;
        d.size = 0;
      } else
        d.size *= parse_int(in);
      br = x.find('[', e);
    }
  }
  if (!d.align) d.align = d.elem * vec;
  return d;
}

}  // namespace

// ---------------------------------------------------------------- module level

Module::Module(std::string ptx) : text(std::move(ptx)) {
  if (size_t z = text.find('\0'); z != std::string::npos) text.resize(z);
  line_start.push_back(0);
  for (size_t i = 0; i < text.size(); i++)
    if (text[i] == '\n') line_start.push_back(i + 1);
  blank_comments(text);
  const std::string& t = text;
  size_t p = 0, n = t.size();
  auto skip_ws = [&] {
    while (p < n && isspace(static_cast<unsigned char>(t[p]))) p++;
  };
  auto word = [&] {
    skip_ws();
    size_t b = p;
    while (p < n && !isspace(static_cast<unsigned char>(t[p])) && t[p] != '(' && t[p] != ';' && t[p] != '{' &&
           t[p] != '[')
      p++;
    return t.substr(b, p - b);
  };
  auto line_end = [&] {
    size_t e = t.find('\n', p);
    return e == std::string::npos ? n : e;
  };
  auto param_list = [&] {  // at '(' ; returns the text inside
    size_t b = p + 1;
    size_t e = t.find(')', b);
    p = e + 1;
    return std::string_view(t).substr(b, e - b);
  };
  while (true) {
    skip_ws();
    if (p >= n) break;
    size_t start = p;
    std::string w = word();
    if (w == ".version" || w == ".address_size") {
      p = line_end();
      continue;
    }
    if (w == ".target") {
      size_t e = line_end();
      target = std::string(trim(std::string_view(t).substr(p, e - p)));
      p = e;
      continue;
    }
    if (w == ".file") {
      size_t e = line_end();
      std::string_view l = std::string_view(t).substr(p, e - p);
      size_t q = l.find('"'), q2 = l.find('"', q + 1);
      if (q != l.npos) files[uint32_t(parse_int(words(l)[0]))] = std::string(l.substr(q + 1, q2 - q - 1));
      p = e;
      continue;
    }
    if (w == ".section") {
      p = t.find('{', p);
      if (p == t.npos) break;
      p = match_brace(t, p) + 1;
      continue;
    }
    bool ext = false;
    while (w == ".visible" || w == ".extern" || w == ".weak" || w == ".common") {
      ext |= w == ".extern";
      w = word();
    }
    if (w == ".entry") {
      auto k = std::make_unique<Kernel>();
      k->name = word();
      k->module = this;
      skip_ws();
      if (p < n && t[p] == '(') {
        auto list = param_list();
        uint32_t off = 0;
        for (auto d : split_top(list)) {
          if (d.empty()) continue;
          Decl x = parse_decl(d);
          off = uint32_t((off + x.align - 1) / x.align * x.align);
          k->params.push_back({off, uint32_t(x.size)});
          k->param_names.push_back(x.name);
          off += uint32_t(x.size);
        }
        k->param_bytes = off;
      }
      size_t ob = t.find_first_of("{;", p);
      if (ob == t.npos) break;
      auto dirs = std::string_view(t).substr(p, ob - p);
      auto dims = [&](const char* name) -> uint32_t {
        size_t q = dirs.find(name);
        if (q == dirs.npos) return 0;
        uint32_t prod = 1;
        size_t i = q + strlen(name);
        while (true) {
          while (i < dirs.size() && (isspace(static_cast<unsigned char>(dirs[i])) || dirs[i] == ',')) i++;
          if (i >= dirs.size() || !isdigit(static_cast<unsigned char>(dirs[i]))) break;
          prod *= uint32_t(atoi(std::string(dirs.substr(i, 10)).c_str()));
          while (i < dirs.size() && isdigit(static_cast<unsigned char>(dirs[i]))) i++;
          while (i < dirs.size() && dirs[i] == ' ') i++;
          if (i >= dirs.size() || dirs[i] != ',') break;
        }
        return prod;
      };
      k->max_threads = dims(".maxntid");
      k->req_threads = dims(".reqntid");
      k->min_blocks = dims(".minnctapersm");
      if (t[ob] == ';') {
        p = ob + 1;
        continue;
      }
      size_t cb = match_brace(t, ob);
      k->body_begin = ob + 1;
      k->body_end = cb;
      k->pretty = demangle(k->name);
      p = cb + 1;
      auto name = k->name;
      kernels[name] = std::move(k);
      continue;
    }
    if (w == ".func") {
      FuncDecl f;
      skip_ws();
      while (p < n && t[p] == '.') {
        word();
        skip_ws();
      }  // .attribute, .noreturn before the name
      auto read = [&](std::vector<std::string>& names, bool note) {
        for (auto d : split_top(param_list())) {
          if (d.empty()) continue;
          names.push_back(parse_decl(d).name);
          if (note) f.is_reg.push_back(d.substr(0, 4) == ".reg");
        }
      };
      if (p < n && t[p] == '(') {
        read(f.rets, false);
        skip_ws();
      }
      std::string name = word();
      skip_ws();
      if (p < n && t[p] == '(') read(f.params, true);
      size_t ob = t.find_first_of("{;", p);
      if (ob == t.npos) break;
      if (t[ob] == ';') {
        p = ob + 1;
        if (!funcs.count(name)) funcs[name] = f;
        continue;
      }
      size_t cb = match_brace(t, ob);
      f.body_begin = ob + 1;
      f.body_end = cb;
      p = cb + 1;
      funcs[name] = f;
      continue;
    }
    if (w == ".global" || w == ".const" || w == ".shared") {
      size_t e = p;
      for (int d = 0; e < n; e++) {
        if (t[e] == '{')
          d++;
        else if (t[e] == '}')
          d--;
        else if (t[e] == ';' && !d)
          break;
      }
      std::string_view s = std::string_view(t).substr(p, e - p);
      p = e + 1;
      Variable v;
      size_t eq = s.find('=');
      Decl d = parse_decl(s.substr(0, eq));
      if (eq != s.npos) v.init = std::string(trim(s.substr(eq + 1)));
      v.name = d.name;
      v.size = d.size;
      v.align = std::max<uint64_t>(d.align, 1);
      v.elem = uint32_t(d.elem);
      v.external = ext;
      v.space = w == ".global" ? Space::Global : w == ".const" ? Space::Const : Space::Shared;
      if (!vars.count(v.name) || vars[v.name].external) vars[v.name] = v;
      continue;
    }
    // Anything else at this level (.alias, .tex, stray tokens): skip the statement.
    size_t e = t.find_first_of(";\n", start);
    p = e == t.npos ? n : e + 1;
  }
}

uint32_t Module::line_of(size_t pos) const {
  return uint32_t(std::upper_bound(line_start.begin(), line_start.end(), pos) - line_start.begin());
}

uint64_t Module::address(Variable& v, int device) {
  auto it = v.addr.find(device);
  if (it != v.addr.end()) return it->second;
  uint64_t a =
      mem::alloc_device(device, v.size, v.space == Space::Const ? MemKind::Constant : MemKind::Variable, v.name);
  if (!a) throw ParseError{"no device memory for variable " + v.name};
  v.addr[device] = a;
  uint8_t* h = mem::host(a);
  memset(h, 0, v.size);
  mem::mark_init(a, v.size);
  std::string_view init = v.init;
  if (!init.empty() && init.front() == '{') init = init.substr(1, init.rfind('}') - 1);
  uint64_t off = 0;
  std::string flat(init);
  for (char& c : flat)
    if (c == '{' || c == '}') c = ' ';
  if (!trim(flat).empty())
    for (auto item : split_top(flat)) {
      if (off + v.elem > v.size) break;
      uint64_t val = 0;
      std::string s(trim(item));
      if (s.rfind("generic(", 0) == 0) s = s.substr(8, s.size() - 9);
      if (s.rfind("0f", 0) == 0 || s.rfind("0F", 0) == 0 || s.rfind("0d", 0) == 0 || s.rfind("0D", 0) == 0)
        val = strtoull(s.c_str() + 2, nullptr, 16);
      else if (!s.empty() && (isdigit(static_cast<unsigned char>(s[0])) || s[0] == '-'))
        val = parse_int(s);
      else {
        size_t plus = s.find('+');
        std::string nm(trim(std::string_view(s).substr(0, plus)));
        auto o = vars.find(nm);
        if (o == vars.end()) throw ParseError{"initialiser of " + v.name + " names unknown symbol " + nm};
        val = address(o->second, device) + (plus == s.npos ? 0 : parse_int(s.substr(plus + 1)));
      }
      memcpy(h + off, &val, v.elem);
      off += v.elem;
    }
  return a;
}

void Module::release(int device) {
  for (auto& [n, v] : vars) v.addr.erase(device);
  for (auto& [n, k] : kernels) k->code.erase(device);
}

// ---------------------------------------------------------------- kernel bodies

namespace {

const std::unordered_map<std::string, Sreg>& sregs() {
  static const std::unordered_map<std::string, Sreg> m = {{"%tid.x", STidX},
                                                          {"%tid.y", STidY},
                                                          {"%tid.z", STidZ},
                                                          {"%ntid.x", SNtidX},
                                                          {"%ntid.y", SNtidY},
                                                          {"%ntid.z", SNtidZ},
                                                          {"%ctaid.x", SCtaX},
                                                          {"%ctaid.y", SCtaY},
                                                          {"%ctaid.z", SCtaZ},
                                                          {"%nctaid.x", SNctaX},
                                                          {"%nctaid.y", SNctaY},
                                                          {"%nctaid.z", SNctaZ},
                                                          {"%laneid", SLane},
                                                          {"%warpid", SWarp},
                                                          {"%nwarpid", SNwarp},
                                                          {"%lanemask_lt", SLtMask},
                                                          {"%lanemask_le", SLeMask},
                                                          {"%lanemask_gt", SGtMask},
                                                          {"%lanemask_ge", SGeMask},
                                                          {"%lanemask_eq", SEqMask},
                                                          {"%smid", SSmid},
                                                          {"%nsmid", SNsmid},
                                                          {"%gridid", SGridId},
                                                          {"%envreg1", SWsHi},
                                                          {"%envreg2", SWsLo},
                                                          {"%dynamic_smem_size", SDynSmem},
                                                          {"%total_smem_size", STotalSmem},
                                                          {"WARP_SZ", SWarpSize},
                                                          {"%clusterid.x", SCtaX},
                                                          {"%clusterid.y", SCtaY},
                                                          {"%clusterid.z", SCtaZ},
                                                          {"%nclusterid.x", SNctaX},
                                                          {"%nclusterid.y", SNctaY},
                                                          {"%nclusterid.z", SNctaZ},
                                                          {"%cluster_ctaid.x", SZero},
                                                          {"%cluster_ctaid.y", SZero},
                                                          {"%cluster_ctaid.z", SZero},
                                                          {"%cluster_nctaid.x", SOne},
                                                          {"%cluster_nctaid.y", SOne},
                                                          {"%cluster_nctaid.z", SOne},
                                                          {"%cluster_ctarank", SZero},
                                                          {"%cluster_nctarank", SOne}};
  return m;
}

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

void Decoder::body(size_t b, size_t e, int scope, int depth) {
  const std::string& t = m_.text;
  size_t p = b;
  std::vector<int> stack{scope};
  while (true) {
    while (p < e && (isspace(static_cast<unsigned char>(t[p])) || t[p] == ';')) p++;
    if (p >= e) break;
    if (t[p] == '{') {
      stack.push_back(new_scope(stack.back()));
      p++;
      continue;
    }
    if (t[p] == '}') {
      if (stack.size() > 1) stack.pop_back();
      p++;
      continue;
    }
    if (t.compare(p, 4, ".loc") == 0 && isspace(static_cast<unsigned char>(t[p + 4]))) {
      size_t le = t.find('\n', p);
      if (le == t.npos || le > e) le = e;
      auto w = words(std::string_view(t).substr(p + 4, le - p - 4));
      if (w.size() >= 2) {
        SrcLoc loc{uint32_t(parse_int(w[0])), uint32_t(parse_int(w[1])), w.size() > 2 ? uint32_t(parse_int(w[2])) : 0,
                   -1};
        for (size_t i = 2; i + 3 < w.size(); i++)
          if (w[i] == "inlined_at")
            loc.outer =
                find_loc(uint32_t(parse_int(w[i + 1])), uint32_t(parse_int(w[i + 2])), uint32_t(parse_int(w[i + 3])));
        c_.locs.push_back(loc);
        curLoc_ = int(c_.locs.size()) - 1;
        locIndex_[std::to_string(loc.file) + ":" + std::to_string(loc.line) + ":" + std::to_string(loc.col)] = curLoc_;
      }
      p = le;
      continue;
    }
    if (t.compare(p, 5, ".file") == 0) {
      p = std::min(t.find('\n', p), e);
      continue;
    }
    if (is_ident(t[p])) {  // a label?
      size_t q = p;
      while (q < e && is_ident(t[q])) q++;
      size_t r = q;
      while (r < e && (t[r] == ' ' || t[r] == '\t')) r++;
      if (r < e && t[r] == ':' && (r + 1 >= e || t[r + 1] != ':')) {
        std::string name = t.substr(p, q - p);
        p = r + 1;
        size_t z = p;
        while (z < e && isspace(static_cast<unsigned char>(t[z]))) z++;
        if (t.compare(z, 14, ".branchtargets") == 0) {
          size_t se = t.find(';', z);
          auto& v = scopes_[size_t(stack.back())].targets[name];
          for (auto x : split_top(std::string_view(t).substr(z + 14, se - z - 14))) v.emplace_back(x);
          p = se + 1;
        } else if (t.compare(z, 14, ".callprototype") == 0) {
          p = t.find(';', z) + 1;
        } else {
          scopes_[size_t(stack.back())].labels[name] = uint32_t(c_.insts.size());
        }
        continue;
      }
    }
    size_t se = t.find(';', p);
    if (se == t.npos || se > e) se = e;
    auto st = trim(std::string_view(t).substr(p, se - p));
    stmtPos_ = p;
    stmtText_ = st;
    p = se + 1;
    if (st.empty()) continue;
    if (st[0] == '.')
      directive(st, stack.back());
    else
      statement(st, stack.back(), depth);
  }
}

void Decoder::directive(std::string_view st, int scope) {
  size_t sp = 0;
  while (sp < st.size() && !isspace(static_cast<unsigned char>(st[sp]))) sp++;
  auto kind = st.substr(0, sp);
  auto rest = trim(st.substr(sp));
  auto& syms = scopes_[size_t(scope)].syms;
  if (kind == ".reg") {
    size_t q = 0;
    while (q < rest.size() && !isspace(static_cast<unsigned char>(rest[q]))) q++;
    auto it = types().find(std::string(rest.substr(1, q - 1)));
    if (it == types().end()) fail("unknown register type in '" + std::string(st) + "'");
    uint8_t cls = it->second.id == TPred ? 0 : it->second.bytes <= 4 ? 4 : 8;
    for (auto x : split_top(rest.substr(q))) {
      size_t lt = x.find('<');
      if (lt != x.npos) {
        uint32_t n = uint32_t(parse_int(x.substr(lt + 1)));
        Sym s{Sym::Range, uint32_t(cls_.size()), n, cls};
        for (uint32_t i = 0; i < n; i++) new_reg(cls);
        syms[std::string(trim(x.substr(0, lt)))] = s;
      } else {
        syms[std::string(x)] = Sym{Sym::Reg, new_reg(cls), 1, cls};
      }
    }
  } else if (kind == ".local" || kind == ".param") {
    for (auto x : split_top(rest)) {
      Decl d = parse_decl(x);
      syms[d.name] = Sym{Sym::Local, local_alloc(d.size, std::max<uint64_t>(d.align, kind == ".param" ? 8 : 1)),
                         uint32_t(d.size), 0};
    }
  } else if (kind == ".shared") {
    Decl d = parse_decl(rest);
    syms[d.name] = Sym{Sym::Shared, d.unsized_array ? k_shared_dynamic : shared_alloc(d.name, d.size, d.align),
                       uint32_t(d.size), 0};
  }
  // .pragma, .maxntid and the like need nothing.
}

void Decoder::statement(std::string_view st, int scope, int depth) {
  guard_ = k_none;
  guardNeg_ = false;
  size_t mark = c_.insts.size();
  try {
    auto s = st;
    if (s[0] == '@') {
      s = s.substr(1);
      bool neg = false;
      if (s[0] == '!') {
        neg = true;
        s = s.substr(1);
      }
      size_t q = 0;
      while (q < s.size() && is_ident(s[q])) q++;
      uint32_t g = src(scope, s.substr(0, q), 'p');
      guard_ = g;
      guardNeg_ = neg;
      s = trim(s.substr(q));
    }
    size_t q = 0;
    while (q < s.size() && !isspace(static_cast<unsigned char>(s[q])) && s[q] != '{' && s[q] != '(') q++;
    std::string opc(s.substr(0, q));
    auto args = trim(s.substr(q));
    if (opc.rfind("call", 0) == 0 && (opc.size() == 4 || opc[4] == '.')) {
      std::vector<std::string> parts;
      for (auto x : split_top(opc, '.')) parts.emplace_back(x);
      call(parts, args, scope, depth);
    } else {
      decode(opc, split_top(args), scope, depth);
    }
  } catch (const ParseError& err) {
    // Not understood: fails only when it is executed.
    c_.insts.resize(mark);
    c_.meta.resize(mark);
    while (!fixups_.empty() && fixups_.back().inst >= mark) fixups_.pop_back();
    Inst in;
    in.kind = Kind::Unknown;
    in.guard = guard_;
    in.guard_neg = guardNeg_;
    if (in.guard != k_none && !(in.guard & k_const) && in.guard >= cls_.size()) in.guard = k_none;
    c_.calls.push_back({});
    in.target = 0;
    emit(in);
    if (config().trace) report("not decoded in " + k_.pretty + ": " + std::string(st) + " (" + err.text + ")");
  }
  guard_ = k_none;
}

void Decoder::decode(const std::string& opc, const std::vector<std::string_view>& ops, int scope, int depth) {
  std::vector<std::string> parts;
  for (size_t i = 0, b = 0; i <= opc.size(); i++)
    if (i == opc.size() || opc[i] == '.') {
      parts.push_back(opc.substr(b, i - b));
      b = i + 1;
    }
  const std::string& base = parts[0];
  auto has = [&](const char* x) { return std::find(parts.begin(), parts.end(), x) != parts.end(); };
  auto need = [&](size_t n) {
    if (ops.size() < n) fail("too few operands");
  };
  auto ty = [&]() -> TypeInfo {
    auto it = types().find(parts.back());
    if (it == types().end()) fail("unknown type in " + opc);
    return it->second;
  };
  auto sto_of = [](const TypeInfo& t) { return t.id == TPred ? 'p' : t.bytes <= 4 ? 'w' : 'd'; };
  Inst in;
  in.guard = guard_;
  in.guard_neg = guardNeg_;
  // Operand 0: a register, or a register and a predicate, as in r|p.
  auto pair_of_destinations = [&] {
    const size_t bar = ops[0].find('|');
    in.op[0] = dst(scope, trim(ops[0].substr(0, bar)), 'w');
    in.op[1] = bar == ops[0].npos ? new_reg(0) : dst(scope, trim(ops[0].substr(bar + 1)), 'p');
  };
  auto simple = [&](Kind k) {
    in.kind = k;
    emit(in);
  };

  if (base == "ld" || base == "st" || base == "ldu") return memory(parts, ops, scope);
  if (base == "atom" || base == "red") return atomic(parts, ops, scope);
  if (base == "bra") {
    need(1);
    in.kind = Kind::Bra;
    emit(in);
    fixups_.push_back({uint32_t(c_.insts.size() - 1), std::string(ops[0]), scope, -1});
    return;
  }
  if (base == "brx") {
    need(2);
    in.kind = Kind::BrxIdx;
    in.op[0] = src(scope, ops[0], 'w');
    in.nop = 1;
    in.target = uint32_t(c_.tables.size());
    c_.tables.emplace_back();
    emit(in);
    const std::vector<std::string>* v = nullptr;
    for (int s = scope; s >= 0 && !v; s = scopes_[size_t(s)].parent) {
      auto it = scopes_[size_t(s)].targets.find(std::string(ops[1]));
      if (it != scopes_[size_t(s)].targets.end()) v = &it->second;
    }
    if (!v) fail("unknown branch table");
    for (auto& l : *v) fixups_.push_back({uint32_t(c_.insts.size() - 1), l, scope, int(in.target)});
    return;
  }
  if (base == "exit") return simple(Kind::Exit);
  if (base == "ret") {
    if (!depth) return simple(Kind::Exit);
    in.kind = Kind::Bra;
    emit(in);
    frames_.back()->rets.push_back(uint32_t(c_.insts.size() - 1));
    return;
  }
  if (base == "trap") {
    in.sub = 0;
    return simple(Kind::Trap);
  }
  if (base == "brkpt") {
    in.sub = 1;
    return simple(Kind::Trap);
  }
  if (base == "membar" || base == "fence" || base == "prefetch" || base == "prefetchu" || base == "discard" ||
      base == "applypriority" || base == "griddepcontrol" || base == "pmevent" || base == "setmaxnreg")
    return simple(Kind::Nop);
  if (base == "nanosleep") return simple(Kind::Yield);
  if ((base == "barrier" || base == "bar") && has("cluster")) return simple(Kind::Nop);
  if (base == "bar" && has("warp")) {
    need(1);
    in.kind = Kind::WarpSync;
    in.op[0] = src(scope, ops[0], 'w');
    in.nop = 1;
    emit(in);
    return;
  }
  if (base == "bar" || base == "barrier") {
    need(1);
    bool red = has("red"), arrive = has("arrive");
    in.kind = arrive ? Kind::BarArrive : Kind::Bar;
    if (base == "bar" || has("aligned")) in.flags |= FAligned;
    size_t i = 0;
    std::string_view d, pr;
    auto rest = ops;
    if (red) {
      d = rest.front();
      rest.erase(rest.begin());
      pr = rest.back();
      rest.pop_back();
    }
    if (red) {
      in.sub = has("popc") ? 1 : has("and") ? 2 : 3;
      in.op[i++] = dst(scope, d, in.sub == 1 ? 'w' : 'p');
      in.ndef = 1;
    }
    in.op[i++] = src(scope, rest[0], 'w');
    if (rest.size() > 1) {
      in.flags |= FHasCount;
      in.op[i++] = src(scope, rest[1], 'w');
    }
    if (red) in.op[i++] = src(scope, pr, 'p');
    in.nop = uint8_t(i);
    emit(in);
    return;
  }
  if (base == "shfl") {
    need(4);
    in.kind = Kind::Shfl;
    in.sub = has("up") ? 0 : has("down") ? 1 : has("bfly") ? 2 : 3;
    pair_of_destinations();
    in.op[2] = src(scope, ops[1], 'w');
    in.op[3] = src(scope, ops[2], 'w');
    in.op[4] = src(scope, ops[3], 'w');
    in.op[5] = ops.size() > 4 ? src(scope, ops[4], 'w') : constant(0xffffffffu, 'w');
    if (!has("sync")) fail("shfl without .sync is not supported");
    in.ndef = 2;
    in.nop = 6;
    emit(in);
    return;
  }
  if (base == "vote") {
    need(3);
    in.kind = Kind::Vote;
    in.sub = has("all") ? 0 : has("any") ? 1 : has("uni") ? 2 : 3;
    in.op[0] = dst(scope, ops[0], in.sub == 3 ? 'w' : 'p');
    in.op[1] = src(scope, ops[1], 'p');
    in.op[2] = src(scope, ops[2], 'w');
    in.ndef = 1;
    in.nop = 3;
    emit(in);
    return;
  }
  if (base == "match") {
    need(3);
    in.kind = Kind::Match;
    in.sub = has("all");
    in.regw = ty().bytes;
    pair_of_destinations();
    in.op[2] = src(scope, ops[1], in.regw == 8 ? 'd' : 'w');
    in.op[3] = src(scope, ops[2], 'w');
    in.ndef = 2;
    in.nop = 4;
    emit(in);
    return;
  }
  if (base == "redux") {
    need(3);
    in.kind = Kind::Redux;
    const char* names[] = {"add", "and", "or", "xor", "min", "max"};
    const uint8_t codes[] = {AAdd, AAnd, AOr, AXor, AMin, AMax};
    bool ok_op = false;
    for (int i = 0; i < 6; i++)
      if (has(names[i])) {
        in.sub = codes[i];
        ok_op = true;
      }
    if (!ok_op || ty().flt) fail("redux form not supported");
    if (ty().sgn) in.flags |= FSigned;
    in.op[0] = dst(scope, ops[0], 'w');
    in.op[1] = src(scope, ops[1], 'w');
    in.op[2] = src(scope, ops[2], 'w');
    in.ndef = 1;
    in.nop = 3;
    emit(in);
    return;
  }
  if (base == "elect") {
    in.kind = Kind::Elect;
    pair_of_destinations();
    in.op[2] = src(scope, ops[1], 'w');
    in.ndef = 2;
    in.nop = 3;
    emit(in);
    return;
  }
  if (base == "activemask") {
    in.kind = Kind::ActiveMask;
    in.op[0] = dst(scope, ops[0], 'w');
    in.ndef = in.nop = 1;
    emit(in);
    return;
  }
  if (base == "mov") {
    need(2);
    TypeInfo t = ty();
    auto d = ops[0], s = ops[1];
    if (d.front() == '{' || s.front() == '{') {
      bool unpack = d.front() == '{';
      auto v = vec_operand(unpack ? d : s);
      std::string key = std::string(unpack ? "unpack" : "pack") + std::to_string(v.size()) + (t.bytes == 8 ? "d" : "w");
      char es = t.bytes == 8 && v.size() == 2 ? 'w' : 'w';
      std::vector<uint32_t> a, b;
      for (auto x : v) a.push_back(unpack ? dst(scope, x, es) : src(scope, x, es));
      char ws = t.bytes == 8 ? 'd' : 'w';
      if (t.bytes == 16 || t.bytes < 4) fail("mov form not supported");
      if (unpack) {
        b.push_back(src(scope, s, ws));
        alu(key, a, b);
      } else {
        b.push_back(dst(scope, d, ws));
        alu(key, b, a);
      }
      return;
    }
    std::string sn(s);
    if (sn.rfind("%clock", 0) == 0 || sn.rfind("%globaltimer", 0) == 0) {
      in.kind = Kind::Clock;
      in.sub = sn.rfind("%global", 0) == 0 ? 1 : 0;
      in.type = sn.find("_hi") != sn.npos;
      in.regw = uint8_t(t.bytes);
      in.op[0] = dst(scope, d, t.bytes == 8 ? 'd' : 'w');
      in.ndef = in.nop = 1;
      emit(in);
      return;
    }
    if (t.id == TPred) {
      alu("mov.p", {dst(scope, d, 'p')}, {src(scope, s, 'p')});
      return;
    }
    if (t.bytes > 8) fail("128-bit registers are not supported");
    alu(t.bytes == 8   ? "mov.d"
        : t.bytes == 4 ? "mov.w"
                       : "mov.h",
        {dst(scope, d, sto_of(t))}, {src(scope, s, sto_of(t))});
    return;
  }
  if (base == "createpolicy") {  // cache hints change no result: the policy is a value that nothing reads
    if (!has("fractional")) fail("createpolicy form not supported");
    need(1);
    alu("mov.d", {dst(scope, ops[0], 'd')}, {constant(0, 'd')});
    return;
  }
  if (base == "cvt") return cvt(parts, ops, scope);
  if (base == "cvta") {
    need(2);
    bool to = has("to");
    int64_t win = has("shared") || has("shared::cta") || has("shared::cluster") ? int64_t(k_shared_win)
                  : has("local")                                                ? int64_t(k_local_win)
                  : has("param") || has("param::entry")                         ? int64_t(k_param_win)
                                                                                : 0;
    char rc = reg_class(scope, ops[1]);
    uint32_t s;
    if (rc == 'w') {
      uint32_t t = new_reg(8);
      alu("cvt.u64.u32", {t}, {src(scope, ops[1], 'w')});
      s = t;
    } else
      s = src(scope, ops[1], 'd');
    // cvta of a call parameter or of a local symbol
    if (!rc && win == int64_t(k_param_win)) {
      uint64_t a;
      Space spc;
      if (symbol_address(scope, std::string(ops[1]), a, spc) && spc == Space::Local) win = int64_t(k_local_win);
    }
    if (reg_class(scope, ops[0]) == 'w') fail("32-bit cvta is not supported");
    if (!win)
      alu("mov.d", {dst(scope, ops[0], 'd')}, {s});
    else
      alu("add.u64", {dst(scope, ops[0], 'd')}, {s, constant(uint64_t(to ? -win : win), 'd')});
    return;
  }
  if (base == "isspacep") {
    need(2);
    in.imm = 0;
    int64_t which = has("shared") || has("shared::cta") || has("shared::cluster") ? int64_t(k_shared_win)
                    : has("local")                                                ? int64_t(k_local_win)
                    : has("param")                                                ? int64_t(k_param_win)
                    : has("const")                                                ? -1
                                                                                  : 0;
    alu("isspacep", {dst(scope, ops[0], 'p')}, {src(scope, ops[1], 'd')}, which);
    return;
  }
  if (base == "setp") {
    need(3);
    TypeInfo t = ty();
    std::string cmp = parts[1], comb;
    for (auto& x : parts)
      if (x == "and" || x == "or" || x == "xor") comb = x;
    if (!t.flt) {
      if (cmp == "lo") cmp = "lt";
      if (cmp == "ls") cmp = "le";
      if (cmp == "hi") cmp = "gt";
      if (cmp == "hs") cmp = "ge";
    }
    std::string tn = t.bytes == 2   ? (t.sgn ? "s16" : "u16")
                     : t.flt        ? (t.bytes == 8 ? "f64" : "f32")
                     : t.bytes == 4 ? (t.sgn ? "s32" : "u32")
                                    : (t.sgn ? "s64" : "u64");
    std::string_view d = ops[0], q;
    size_t bar = d.find('|');
    if (bar != d.npos) {
      q = trim(d.substr(bar + 1));
      d = trim(d.substr(0, bar));
    }
    char s = sto_of(t);
    uint32_t pd = dst(scope, d, 'p'), qd = q.empty() ? new_reg(0) : dst(scope, q, 'p');
    uint32_t a = src(scope, ops[1], s), b = src(scope, ops[2], s);
    std::vector<uint32_t> sv{a, b};
    if (!comb.empty()) {
      need(4);
      sv.push_back(src(scope, ops[3], 'p'));
    }
    if (t.id == TF16) fail("half precision compare is not supported");
    Inst& x = alu("setp." + cmp + "." + tn, {pd, qd}, sv);
    x.sub = comb == "and" ? 1 : comb == "or" ? 2 : comb == "xor" ? 3 : 0;
    return;
  }
  if (base == "set") {
    need(3);
    TypeInfo t = ty();
    std::string cmp = parts[1];
    if (parts.size() != 4 || t.id == TF16) fail("set form not supported");
    std::string tn = t.bytes == 2   ? (t.sgn ? "s16" : "u16")
                     : t.flt        ? (t.bytes == 8 ? "f64" : "f32")
                     : t.bytes == 4 ? (t.sgn ? "s32" : "u32")
                                    : (t.sgn ? "s64" : "u64");
    uint32_t p = new_reg(0), q = new_reg(0);
    alu("setp." + cmp + "." + tn, {p, q}, {src(scope, ops[1], sto_of(t)), src(scope, ops[2], sto_of(t))});
    bool f = parts[2] == "f32";
    alu("selp.w", {dst(scope, ops[0], 'w')}, {constant(f ? 0x3f800000u : 0xffffffffu, 'w'), constant(0, 'w'), p});
    return;
  }
  if (base == "selp") {
    need(4);
    TypeInfo t = ty();
    char s = sto_of(t);
    alu(t.bytes == 8   ? "selp.d"
        : t.bytes == 2 ? "selp.h"
                       : "selp.w",
        {dst(scope, ops[0], s)}, {src(scope, ops[1], s), src(scope, ops[2], s), src(scope, ops[3], 'p')});
    return;
  }
  if (base == "slct") {
    need(4);
    fail("slct is not supported");
  }
  if (base == "lop3") {
    need(5);
    if (ops[0].find('|') != std::string_view::npos) fail("lop3 with a predicate is not supported");
    alu("lop3", {dst(scope, ops[0], 'w')}, {src(scope, ops[1], 'w'), src(scope, ops[2], 'w'), src(scope, ops[3], 'w')},
        int64_t(parse_int(ops[4])) & 255);
    return;
  }
  if (base == "cp" && has("async") && !has("bulk") && !has("tensor")) {
    if (has("commit_group") || has("wait_group") || has("wait_all")) return simple(Kind::Nop);
    if (has("mbarrier")) fail("mbarrier is not supported");
    need(3);
    in.kind = Kind::AsyncCopy;
    bool sy;
    Inst a, b;
    a.space = Space::Shared;
    b.space = Space::Global;
    address(scope, ops[0], a, 0, sy);
    address(scope, ops[1], b, 0, sy);
    auto full = [&](const Inst& x) {  // as a 64-bit register
      uint32_t t = new_reg(8);
      if (x.base == 0)
        alu("mov.d", {t}, {constant(uint64_t(x.imm), 'd')});
      else {
        uint32_t r = x.op[0];
        if (x.base == 4) {
          uint32_t u = new_reg(8);
          alu("cvt.u64.u32", {u}, {r});
          r = u;
        }
        alu("add.u64", {t}, {r, constant(uint64_t(x.imm), 'd')});
      }
      return t;
    };
    uint32_t d = full(a), s = full(b);
    in.width = uint8_t(parse_int(ops[2]));
    in.op[0] = d;
    in.op[1] = s;
    in.op[2] = constant(in.width, 'w');
    if (ops.size() > 3 && reg_class(scope, ops[3]) != 'd') in.op[2] = src(scope, ops[3], 'w');
    in.nop = 3;
    emit(in);
    return;
  }

  // Everything else: the arithmetic table.
  static const char* drop[] = {"rn", "rz", "rm", "rp", "ftz", "approx", "full", "uni"};
  std::string key = base;
  bool cc = false;
  for (size_t i = 1; i < parts.size(); i++) {
    bool skip = false;
    for (auto x : drop) skip |= parts[i] == x;
    if (parts[i] == "cc") {
      cc = true;
      skip = true;
    }
    if (!skip) key += "." + parts[i];
  }
  if (base == "prmt" && parts.size() == 2) key = "prmt.b32";
  bool carry_in = base == "addc" || base == "subc" || base == "madc";
  if (cc || carry_in) {
    if (cc_ == k_none) cc_ = new_reg(0);
    key = (carry_in ? base : base + "cc") + key.substr(base.size());
  }
  const AluEntry* e = find_alu(key);
  if (!e) fail("instruction '" + opc + "' is not implemented");
  std::vector<uint32_t> d, s;
  size_t o = 0;
  for (int i = 0; i < e->nop; i++) {
    char st = e->sto[i];
    if (st == 'c') {
      (i < e->ndef ? d : s).push_back(cc_);
      continue;
    }
    if (o >= ops.size()) fail("too few operands for " + opc);
    if (i < e->ndef)
      d.push_back(dst(scope, ops[o++], st));
    else
      s.push_back(src(scope, ops[o++], st));
  }
  if (o != ops.size()) fail("too many operands for " + opc);
  alu(key, d, s);
}

void Decoder::cvt(const std::vector<std::string>& parts, const std::vector<std::string_view>& ops, int scope) {
  if (ops.size() < 2 || parts.size() < 3) fail("cvt form not supported");
  auto find = [&](const std::string& n) {
    auto it = types().find(n);
    if (it == types().end()) fail("cvt type " + n);
    return it->second;
  };
  TypeInfo st = find(parts.back()), dt = find(parts[parts.size() - 2]);
  std::string mode;
  bool sat = false;
  for (size_t i = 1; i + 2 < parts.size(); i++) {
    if (parts[i] == "sat")
      sat = true;
    else if (parts[i] != "ftz")
      mode = parts[i];
  }
  if (mode == "rn" && dt.flt && st.flt && dt.bytes < st.bytes) mode = "";
  if (mode == "rn" && !st.flt) mode = "";
  auto name = [](const TypeInfo& t, const std::string& n) {
    return n[0] == 'b' && n != "bf16" ? "u" + std::to_string(t.bytes * 8) : n;
  };
  std::string sn = name(st, parts.back()), dn = name(dt, parts[parts.size() - 2]);
  std::string key = "cvt" + std::string(sat ? ".sat" : "") + (mode.empty() ? "" : "." + mode) + "." + dn + "." + sn;
  char ss = st.bytes == 8 ? 'd' : 'w', ds = dt.bytes == 8 ? 'd' : 'w';
  uint32_t s = src(scope, ops[1], ss);
  char dc = reg_class(scope, ops[0]);
  if (dc == 'd' && ds == 'w') {  // a wider destination register
    uint32_t t = new_reg(4);
    alu(key, {t}, {s});
    alu(dt.sgn ? "cvt.s64." + dn : "cvt.u64." + dn, {dst(scope, ops[0], 'd')}, {t});
    return;
  }
  alu(key, {dst(scope, ops[0], ds)}, {s});
}

void Decoder::memory(const std::vector<std::string>& parts, const std::vector<std::string_view>& ops, int scope) {
  Inst in;
  in.guard = guard_;
  in.guard_neg = guardNeg_;
  bool ld = parts[0] != "st";
  in.kind = ld ? Kind::Ld : Kind::St;
  TypeInfo t{};
  bool typed = false, hinted = false;
  for (size_t i = 1; i < parts.size(); i++) {
    const std::string& x = parts[i];
    if (x == "global")
      in.space = Space::Global;
    else if (x == "shared" || x == "shared::cta" || x == "shared::cluster")
      in.space = Space::Shared;
    else if (x == "local")
      in.space = Space::Local;
    else if (x == "const")
      in.space = Space::Const;
    else if (x == "param" || x == "param::entry" || x == "param::func")
      in.space = Space::Param;
    else if (x == "volatile" || x == "relaxed" || x == "acquire" || x == "release" || x == "mmio")
      in.flags |= FVolatile;
    else if (x == "v2")
      in.vec = 2;
    else if (x == "v4")
      in.vec = 4;
    else if (x == "v8")
      fail("v8 access is not supported");
    else if (x == "L2::cache_hint")
      hinted = true;
    else if (types().count(x)) {
      t = types().at(x);
      typed = true;
    }
  }
  if (!typed || t.bytes > 8) fail("access type not supported");
  in.width = t.bytes;
  if (t.sgn) in.flags |= FSigned;
  if (ops.size() != (hinted ? 3 : 2)) fail("wrong number of operands");
  if (hinted && reg_class(scope, ops[2]) != 'd') fail("the cache policy must be a 64-bit register");
  auto regs = vec_operand(ld ? ops[0] : ops[1]);
  if (regs.size() != in.vec) fail("vector size mismatch");
  char cls = t.bytes == 8 ? 'd' : 'w';
  for (auto r : regs)
    if (char c = reg_class(scope, r); c == 'd') cls = 'd';
  in.regw = cls == 'd' ? 8 : 4;
  size_t n = 0;
  bool sym;
  if (ld) {
    for (auto r : regs) in.op[n++] = dst(scope, r, cls);
    in.ndef = uint8_t(n);
    address(scope, ops[0 + 1], in, n, sym);
    if (in.base) n++;
  } else {
    address(scope, ops[0], in, 0, sym);
    n = 1;  // op[0] is the address, or unused
    for (auto r : regs) in.op[n++] = src(scope, r, cls);
  }
  in.nop = uint8_t(n);
  emit(in);
}

void Decoder::atomic(const std::vector<std::string>& parts, const std::vector<std::string_view>& ops, int scope) {
  Inst in;
  in.guard = guard_;
  in.guard_neg = guardNeg_;
  in.kind = Kind::Atom;
  bool red = parts[0] == "red", have_op = false;
  TypeInfo t{};
  static const std::unordered_map<std::string, AtomOp> names = {
      {"add", AAdd}, {"and", AAnd}, {"or", AOr},   {"xor", AXor}, {"exch", AExch},
      {"cas", ACas}, {"min", AMin}, {"max", AMax}, {"inc", AInc}, {"dec", ADec}};
  for (size_t i = 1; i < parts.size(); i++) {
    const std::string& x = parts[i];
    if (x == "global")
      in.space = Space::Global;
    else if (x == "shared" || x == "shared::cta" || x == "shared::cluster")
      in.space = Space::Shared;
    else if (x == "async" || x == "v2" || x == "v4")
      fail("atomic form not supported");
    else if (names.count(x)) {
      in.sub = names.at(x);
      have_op = true;
    } else if (types().count(x))
      t = types().at(x);
  }
  if (!have_op || t.bytes < 2 || t.bytes > 8 || t.id == TF16 || (t.bytes == 2 && in.sub != ACas && in.sub != AExch))
    fail("atomic form not supported");
  in.type = t.id;
  in.width = t.bytes;
  if (red) in.flags |= FRed;
  char s = t.bytes == 8 ? 'd' : 'w';
  in.regw = s == 'd' ? 8 : 4;
  // Operands: destination, address, value, second value.
  size_t o = 0;
  in.op[0] = red ? new_reg(s == 'd' ? 8 : 4) : dst(scope, ops.at(o++), s);
  in.ndef = 1;
  bool sym;
  if (o >= ops.size()) fail("too few operands");
  address(scope, ops[o++], in, 1, sym);
  if (o >= ops.size()) fail("too few operands");
  in.op[2] = src(scope, ops[o++], s);
  in.nop = 3;
  if (in.sub == ACas) {
    if (o >= ops.size()) fail("too few operands");
    in.op[3] = src(scope, ops[o++], s);
    in.nop = 4;
  }
  emit(in);
}

void Decoder::call(const std::vector<std::string>& parts, std::string_view args, int scope, int depth) {
  (void)parts;
  auto ops = split_top(args);
  std::vector<std::string_view> rets, params;
  size_t i = 0;
  auto unwrap = [](std::string_view s) { return split_top(trim(s.substr(1, s.size() - 2))); };
  if (i < ops.size() && ops[i].front() == '(') rets = unwrap(ops[i++]);
  if (i >= ops.size()) fail("bad call");
  std::string name(ops[i++]);
  if (i < ops.size() && ops[i].front() == '(') params = unwrap(ops[i++]);
  auto it = m_.funcs.find(name);
  if (it == m_.funcs.end()) fail("indirect calls are not supported");
  FuncDecl& f = it->second;
  auto arg_sym = [&](std::string_view n) -> Sym {
    Sym tmp;
    const Sym* s = lookup(scope, std::string(n), tmp);
    if (!s) fail("call argument '" + std::string(n) + "' is not a parameter");
    return *s;
  };
  if (!f.body_end) {
    Inst in;
    in.kind = Kind::Call;
    in.guard = guard_;
    in.guard_neg = guardNeg_;
    in.sub = name == "vprintf" ? 1 : name == "__assertfail" ? 2 : 0;
    if (!in.sub) fail("function " + name + " has no body in this module (separate compilation is not supported)");
    std::vector<uint32_t> offs;
    for (auto p : params) offs.push_back(arg_sym(p).id);
    if (!rets.empty())
      in.imm = arg_sym(rets[0]).id;
    else
      in.imm = -1;
    in.target = uint32_t(c_.calls.size());
    c_.calls.push_back(offs);
    emit(in);
    return;
  }
  if (depth > 64) fail("calls are nested too deeply (recursion is not supported)");
  uint32_t skip = k_none;
  if (guard_ != k_none) {  // a predicated call: branch around it
    Inst in;
    in.kind = Kind::Bra;
    in.guard = guard_;
    in.guard_neg = !guardNeg_;
    emit(in);
    skip = uint32_t(c_.insts.size() - 1);
    guard_ = k_none;
  }
  int sc = new_scope(-1);
  if (params.size() > f.params.size()) fail("too many arguments in a call of " + name);
  for (size_t j = 0; j < params.size(); j++) scopes_[size_t(sc)].syms[f.params[j]] = arg_sym(params[j]);
  for (size_t j = 0; j < rets.size() && j < f.rets.size(); j++) scopes_[size_t(sc)].syms[f.rets[j]] = arg_sym(rets[j]);
  Frame fr;
  frames_.push_back(&fr);
  auto pos = stmtPos_;
  auto txt = stmtText_;
  auto loc = curLoc_;
  body(f.body_begin, f.body_end, sc, depth + 1);
  frames_.pop_back();
  stmtPos_ = pos;
  stmtText_ = txt;
  curLoc_ = loc;
  guard_ = k_none;
  uint32_t end = uint32_t(c_.insts.size());
  for (auto r : fr.rets) c_.insts[r].target = end;
  if (skip != k_none) c_.insts[skip].target = end;
  Inst nop;  // a landing place
  nop.kind = Kind::Nop;
  nop.sub = 1;
  emit(nop);
}

// ---------------------------------------------------------------- registers

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

}  // namespace

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
