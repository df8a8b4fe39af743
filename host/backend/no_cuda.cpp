// backend_factory.hpp in builds without CUDA: reports that CUDA is unavailable.
#include "negpipe/backend_factory.hpp"

#include "negpipe/error.hpp"

namespace negpipe {

backend_status cuda_status() {
  return {"cuda", false,
          "this build has no CUDA: build it where a CUDA toolkit is installed (CMake: -DNEGPIPE_CUDA=ON; Python: pip "
          "install --config-settings=cmake.define.NEGPIPE_CUDA=ON .), or use the device cpu"};
}

std::unique_ptr<backend> make_cuda_backend(std::string_view, const positives_index&,
                                           const std::vector<dataset_weights>&) {
  throw backend_error("the device cuda is not available: " + cuda_status().reason);
}

memory_location memory_location_of(const void*) { return {}; }

}  // namespace negpipe
