// Compiled for x86-64-v4 and run only where it is supported; see kernels_x86_64_v3.cpp.
#define NEGPIPE_HD __attribute__((always_inline))
#include "kernels.hpp"

#include "lanes_avx512.hpp"
#include "point_kernels.inl"

namespace negpipe {

constinit const kernel_set x86_64_v4_kernels{"x86-64-v4", fill_points, fill_pairs, fill_negatives, fill_free, contains};

}  // namespace negpipe
