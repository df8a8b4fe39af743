// The module level of PTX: variables, entries, functions. Bodies are decoded at their first use (ptx_decode.cpp).
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

#include "common.h"
#include "memory.h"
#include "ptx.h"
#include "ptx_text.h"

namespace ptxrun {

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

}  // namespace ptxrun
