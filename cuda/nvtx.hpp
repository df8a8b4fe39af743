// Names for stages in profilers. Costs nothing when no profiler listens.
#pragma once

#include <nvtx3/nvToolsExt.h>

namespace negpipe::cuda {

/// A named range on the calling thread, for a scope.
class nvtx_range {
 public:
  explicit nvtx_range(const char* name) { nvtxRangePushA(name); }
  ~nvtx_range() { nvtxRangePop(); }
  nvtx_range(const nvtx_range&) = delete;
  nvtx_range& operator=(const nvtx_range&) = delete;
};

}  // namespace negpipe::cuda
