// Position in an endless sequence of batches.
#pragma once

#include <cstdint>

namespace negpipe {

/// The next batch of a sequence that continues from cycle to cycle. Trivially copyable.
struct batch_cursor {
  std::uint32_t cycle = 0;
  std::uint64_t batch = 0;  ///< in record order, below the batch count of a cycle
};

}  // namespace negpipe
