// Scopes, statements, and instructions on registers.
#include "ptx_decoder.h"

namespace ptxrun {

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

}  // namespace ptxrun
