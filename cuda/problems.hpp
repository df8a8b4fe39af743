// What kernels find wrong with their arguments, for the host to read without waiting.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include "memory.hpp"
#include "negpipe/core/hd.hpp"

namespace negpipe::cuda {

enum class problem : std::uint32_t {
  none,
  unknown_user,   ///< index: in the call's users
  unknown_item,   ///< index: in the call's items or excluded items
  no_items_left,  ///< index: of the row
};

/// Reports to a problem_board. Trivially copyable; for kernels.
struct problem_writer {
  unsigned long long* word;

  /// The last report stays. One store of 64 bits, so that kind and index belong together.
  __device__ void report(problem kind, std::uint64_t index) const {
    *static_cast<volatile unsigned long long*>(word) = static_cast<unsigned long long>(kind) << 62 | index;
  }
};

/// One word of pinned host memory that kernels write if they find a problem: otherwise it costs nothing.
class problem_board {
 public:
  problem_board() : word_(1) { *word_.data() = 0; }

  problem_writer writer() { return {word_.data()}; }

  /// Returns the last problem and its index, and forgets it. Thread-safe.
  std::pair<problem, std::uint64_t> take() {
    const unsigned long long found = std::atomic_ref(*word_.data()).exchange(0);
    return {static_cast<problem>(found >> 62), found & ((1ULL << 62) - 1)};
  }

 private:
  pinned_buffer<unsigned long long> word_;
};

}  // namespace negpipe::cuda
