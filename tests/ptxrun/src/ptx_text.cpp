#include "ptx_text.h"

#include <cctype>
#include <cstdlib>
#include <cstring>

namespace ptxrun {

bool is_ident(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%'; }
std::string_view trim(std::string_view s) {
  while (!s.empty() && isspace(static_cast<unsigned char>(s.front()))) s.remove_prefix(1);
  while (!s.empty() && isspace(static_cast<unsigned char>(s.back()))) s.remove_suffix(1);
  return s;
}
std::vector<std::string_view> split_top(std::string_view s, char sep) {
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

const std::unordered_map<std::string, TypeInfo>& types() {
  static const std::unordered_map<std::string, TypeInfo> t = {
      {"u8", {TU8, 1, 0, 0}},     {"s8", {TS8, 1, 1, 0}},     {"b8", {TB8, 1, 0, 0}},     {"u16", {TU16, 2, 0, 0}},
      {"s16", {TS16, 2, 1, 0}},   {"b16", {TB16, 2, 0, 0}},   {"f16", {TF16, 2, 0, 1}},   {"bf16", {TF16, 2, 0, 1}},
      {"u32", {TU32, 4, 0, 0}},   {"s32", {TS32, 4, 1, 0}},   {"b32", {TB32, 4, 0, 0}},   {"f32", {TF32, 4, 0, 1}},
      {"f16x2", {TB32, 4, 0, 0}}, {"u64", {TU64, 8, 0, 0}},   {"s64", {TS64, 8, 1, 0}},   {"b64", {TB64, 8, 0, 0}},
      {"f64", {TF64, 8, 0, 1}},   {"pred", {TPred, 1, 0, 0}}, {"b128", {TB128, 16, 0, 0}}};
  return t;
}

uint64_t parse_int(std::string_view s, bool* ok) {
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

}  // namespace ptxrun
