// Conversions, loads and stores, atomics, calls.
#include "ptx_decoder.h"

namespace ptxrun {

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

}  // namespace ptxrun
