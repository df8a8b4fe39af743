#include "check.hpp"

#include "negpipe/error.hpp"

namespace negpipe::cuda {

namespace {

// cudaErrorContained by number: older toolkits do not define it.
constexpr auto error_contained = static_cast<cudaError_t>(226);

}  // namespace

std::string describe(cudaError_t status) {
  const std::string name = std::string(cudaGetErrorName(status)) + ", " + cudaGetErrorString(status);
  switch (status) {
    case cudaErrorNoDevice:
      return "no CUDA device was found (" + name + "): use the device cpu, or check that a GPU is visible "
             "(nvidia-smi, CUDA_VISIBLE_DEVICES)";
    case cudaErrorInsufficientDriver:
      return "the NVIDIA driver is absent or too old for this build (" + name + "): install or update the driver, or "
             "use the device cpu";
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      return "the NVIDIA driver does not match the kernel module or the GPU (" + name + "): reboot after a driver "
             "update, or use the device cpu";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInvalidKernelImage:
      return "this build has no code for this GPU (" + name + "): rebuild with CMAKE_CUDA_ARCHITECTURES set for it";
    case cudaErrorDevicesUnavailable:
      return "the GPU is busy or prohibited (" + name + "): another process may hold it in exclusive mode; choose "
             "another device, or use the device cpu";
    case cudaErrorMemoryAllocation:
      return "not enough memory (" + name + "): free memory on the device, lower `bitset_budget`, or use the device "
             "cpu";
    default:
      return is_sticky(status) ? "the device is lost to this process (" + name + "): restart the process" : name;
  }
}

bool is_sticky(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorCudartUnloading:
    case error_contained:
      return true;
    default:
      return false;
  }
}

void throw_cuda_error(cudaError_t status, const char* call) {
  static_cast<void>(cudaGetLastError());  // a reported failure must not surface again at the next launch
  const std::string message = std::string("CUDA: ") + call + ": " + describe(status);
  if (status == cudaErrorMemoryAllocation) throw device_memory_error(message);
  if (is_sticky(status)) throw device_lost_error(message);
  throw backend_error(message);
}

}  // namespace negpipe::cuda
