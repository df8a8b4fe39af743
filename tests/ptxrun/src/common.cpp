#include "common.h"

#include <cxxabi.h>

#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace ptxrun {

static uint64_t parse_size(const char* s) {
  char* e;
  double v = strtod(s, &e);
  switch (*e) {
    case 'k':
    case 'K':
      v *= 1024.0;
      break;
    case 'm':
    case 'M':
      v *= 1048576.0;
      break;
    case 'g':
    case 'G':
      v *= 1073741824.0;
      break;
  }
  return v < 0 ? 0 : uint64_t(v);
}

const Config& config() {
  static const Config& c = *[] {  // never destroyed: used by exit handlers
    auto* p = new Config;
    Config& c = *p;
    auto get = [](const char* n) {
      const char* v = getenv(n);
      return v && *v ? v : nullptr;
    };
    auto num = [&](const char* n, int d) {
      auto v = get(n);
      return v ? atoi(v) : d;
    };
    c.devices = num("PTXRUN_DEVICES", 1);
    if (c.devices < 0) c.devices = 0;
    if (c.devices > 16) c.devices = 16;
    if (auto v = get("PTXRUN_MEMORY")) c.memory = parse_size(v);
    c.poison = num("PTXRUN_POISON", 1) != 0;
    c.initcheck = num("PTXRUN_INITCHECK", 0) != 0;
    c.racecheck = num("PTXRUN_RACECHECK", 0);
    c.synccheck = num("PTXRUN_SYNCCHECK", 1);
    c.leakcheck = num("PTXRUN_LEAKCHECK", 0) != 0;
    c.async = num("PTXRUN_ASYNC", 0) != 0;
    c.trace = num("PTXRUN_TRACE", 0) != 0;
    c.threads = num("PTXRUN_THREADS", 1);
    if (c.threads < 1) c.threads = 1;
    if (c.threads > 64) c.threads = 64;
    if (auto v = get("PTXRUN_SEED")) c.seed = strtoull(v, nullptr, 0);
    if (auto v = get("PTXRUN_WARP_ORDER")) {
      c.shuffle = true;
      c.warp_order = strtoull(v, nullptr, 0);
    }
    if (auto v = get("PTXRUN_STATS")) {
      if (strcmp(v, "0")) {
        c.stats = true;
        if (strcmp(v, "1")) c.stats_file = v;
      }
    }
    if (auto v = get("PTXRUN_FAIL")) c.fail = v;
    return p;
  }();
  return c;
}

std::recursive_mutex& big_lock() {
  static auto* m = new std::recursive_mutex;  // never destroyed: used by exit handlers
  return *m;
}

std::string strf(const char* f, ...) {
  va_list a, b;
  va_start(a, f);
  va_copy(b, a);
  int n = vsnprintf(nullptr, 0, f, a);
  va_end(a);
  std::string s(size_t(n > 0 ? n : 0), 0);
  vsnprintf(s.data(), s.size() + 1, f, b);
  va_end(b);
  return s;
}

void report(const std::string& text) {
  fflush(stdout);
  std::string out = "ptxrun: ";
  for (char ch : text) {
    out += ch;
    if (ch == '\n') out += "ptxrun:   ";
  }
  fprintf(stderr, "%s\n", out.c_str());
}

std::string demangle(const std::string& name) {
  int st = 0;
  char* d = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &st);
  if (!d) return name;
  std::string s = d;
  free(d);
  return s;
}

}  // namespace ptxrun
