// Owner of a graph of captured work, for tests and benchmarks of calls that may be captured.
#pragma once

#include <cuda_runtime_api.h>

#include "check.hpp"

namespace negpipe::cuda {

/// The work that `queue` queues to a stream, captured in the global mode, in which waits and allocations fail.
class captured_graph {
 public:
  template <typename Queue>
  captured_graph(cudaStream_t stream, const Queue& queue) {
    cudaGraph_t graph = nullptr;
    NEGPIPE_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    queue();
    NEGPIPE_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
    NEGPIPE_CUDA_CHECK(cudaGraphInstantiate(&executable_, graph, 0));
    NEGPIPE_CUDA_CHECK(cudaGraphDestroy(graph));
  }
  ~captured_graph() { ignore(cudaGraphExecDestroy(executable_)); }
  captured_graph(const captured_graph&) = delete;
  captured_graph& operator=(const captured_graph&) = delete;

  /// Queues the work once more.
  void launch(cudaStream_t stream) const { NEGPIPE_CUDA_CHECK(cudaGraphLaunch(executable_, stream)); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace negpipe::cuda
