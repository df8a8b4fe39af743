// Compiled for x86-64-v3 and run only where it is supported. All inline functions are forced inline: the linker could
// replace the portable copy of a core function by a copy from this file, and older machines would run AVX2 code.
#define NEGPIPE_HD __attribute__((always_inline))
#include "kernels.hpp"

#include "lanes_avx2.hpp"
#include "point_kernels.inl"

namespace negpipe {

constinit const kernel_set x86_64_v3_kernels{"x86-64-v3", fill_points, fill_pairs, fill_negatives, fill_free, contains};

}  // namespace negpipe
