#include "common.h"
#define STUB(name)                                               \
  extern "C" __attribute__((visibility("default"))) int name() { \
    ptxrun::report(#name " is not supported by ptxrun");         \
    return 801;                                                  \
  }
#include "unsupported.inc"
