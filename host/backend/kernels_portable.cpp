#include "kernels.hpp"

#include "lanes_portable.hpp"
#include "point_kernels.inl"

namespace negpipe {

constinit const kernel_set portable_kernels{"portable", fill_points, fill_pairs, fill_negatives, fill_free, contains};

}  // namespace negpipe
