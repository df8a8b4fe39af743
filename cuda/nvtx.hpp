// Names stages for profilers. Costs nothing without a profiler.
#pragma once

#include <nvtx3/nvToolsExt.h>

namespace negpipe::cuda {

/// A named range on the calling thread, until the end of the scope.
class nvtx_range {
 public:
  explicit nvtx_range(const char* name) { nvtxRangePushA(name); }
  ~nvtx_range() { nvtxRangePop(); }
  nvtx_range(const nvtx_range&) = delete;
  nvtx_range& operator=(const nvtx_range&) = delete;
};

}  // namespace negpipe::cuda
