// NEGPIPE_HD marks a function that runs on the host and, under nvcc, on the device as well.
#pragma once

#if defined(__CUDACC__)
#define NEGPIPE_HD __host__ __device__
#else
#define NEGPIPE_HD
#endif
