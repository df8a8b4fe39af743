// Fat binaries: find the PTX that nvcc embedded.
#pragma once
#include <string>
#include <vector>
namespace ptxrun {
struct PtxImage {
  unsigned arch;
  std::string text;
};
std::vector<PtxImage> extract_ptx(const void* fatbin_data);  // data that starts with the fat binary's magic number
}  // namespace ptxrun
