// User and item numbers of a caller, as kernels read them.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"
#include "problems.hpp"

namespace negpipe::cuda {

/// Numbers of one width. Trivially copyable, non-owning.
struct id_values {
  const void* values;
  bool is_wide;  ///< int64, else int32

  __device__ std::int64_t at(std::uint64_t index) const {
    return is_wide ? static_cast<const std::int64_t*>(values)[index]
                   : static_cast<const std::int32_t*>(values)[index];
  }

  /// Returns the number at an index; -1 if it is negative, or not below the limit, which is reported.
  __device__ std::int32_t checked(std::uint64_t index, std::int32_t limit, problem kind,
                                  const problem_writer& problems) const {
    const std::int64_t number = at(index);
    if (number >= limit) problems.report(kind, index);
    return number < 0 || number >= limit ? -1 : static_cast<std::int32_t>(number);
  }
};

}  // namespace negpipe::cuda
