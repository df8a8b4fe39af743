// Batches in the memory of a CUDA device, on a stream of the caller. Needs no CUDA header.
#pragma once

#include <cstdint>

namespace negpipe {

/// The next batch of a replay, in device memory.
struct batch_cursor {
  std::uint32_t cycle;
  std::uint64_t batch;  ///< in record order, below batch_count
};

}  // namespace negpipe
