// Where the host meets CUDA: two functions, defined either in cuda/cuda_backend.cu or in host/backend/no_cuda.cpp,
// never in both. Not installed: programs call make_backend and list_backends.
#pragma once

#include <memory>
#include <string_view>

#include "negpipe/backend.hpp"
#include "negpipe/positives.hpp"

namespace negpipe {

/// Whether the CUDA backend can be made on this machine, and if not, why and what to do about it: built without
/// CUDA, no driver, no device. Never throws for lack of a device. Any thread.
backend_status cuda_status();

/// Makes the CUDA backend. device is "cuda" (the first device), "cuda:N" with a decimal N, or "cuda:all"; threads
/// are for the host's part of the work, 0 means one a core. The backend keeps a copy of the index. Throws
/// option_error for an N that names no device, backend_error with cuda_status().reason when there is none at all.
std::unique_ptr<backend> make_cuda_backend(std::string_view device, const positives_index& index, unsigned threads);

}  // namespace negpipe
