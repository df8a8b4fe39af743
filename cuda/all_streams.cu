#include "all_streams.hpp"

#include <cuda.h>

#include "check.hpp"

namespace negpipe::cuda {

namespace {

/// Functions of the driver that the runtime of CUDA 13.0 lacks. Null where they are not found, as on ptxrun.
struct driver_functions {
  decltype(&cuCtxGetCurrent) get_context = nullptr;
  decltype(&cuCtxRecordEvent) record_context = nullptr;

  driver_functions() {
    find("cuCtxGetCurrent", 4000, get_context);
    find("cuCtxRecordEvent", 12050, record_context);
  }

 private:
  template <typename F>
  static void find(const char* name, unsigned version, F& function) {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    ignore(cudaGetDriverEntryPointByVersion(name, &found, version, cudaEnableDefault, &result));
    function = reinterpret_cast<F>(found);
  }
};

bool record_all_streams(cudaEvent_t event) noexcept {
  static const driver_functions driver;
  CUcontext context = nullptr;
  return driver.get_context != nullptr && driver.record_context != nullptr &&
         driver.get_context(&context) == CUDA_SUCCESS && driver.record_context(context, event) == CUDA_SUCCESS;
}

}  // namespace

void follow_all_streams(cudaStream_t stream) noexcept {
  cudaEvent_t event = nullptr;
  // Also makes the device's context current.
  cudaError_t status = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  ignore(status);
  if (status == cudaSuccess && record_all_streams(event)) {
    status = cudaStreamWaitEvent(stream, event, 0);
    ignore(status);
    ignore(cudaEventDestroy(event));  // the wait stays
    if (status == cudaSuccess) return;
  } else if (event != nullptr) {
    ignore(cudaEventDestroy(event));
  }
  ignore(cudaDeviceSynchronize());
}

}  // namespace negpipe::cuda
