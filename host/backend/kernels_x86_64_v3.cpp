// Compiled for x86-64-v3 and run only where that is supported. Everything inline is forced inline: a copy of a core
// function left for the linker here could replace the portable one, and older machines would meet AVX2 in it.
#define NEGPIPE_HD __attribute__((always_inline))
#include "kernels.hpp"

#include "lanes_avx2.hpp"
#include "point_kernels.inl"

namespace negpipe {

constinit const kernel_set x86_64_v3_kernels{"x86-64-v3", fill_points, fill_negatives};

}  // namespace negpipe
