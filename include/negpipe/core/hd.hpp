// NEGPIPE_HD marks a function that runs on the host and, under nvcc, on the device as well.
//
// A translation unit may define it beforehand: those compiled for one instruction set force inlining by it, so
// that the linker never shares their copies of these functions with code that runs on older machines.
#pragma once

#if defined(__CUDACC__)
#define NEGPIPE_HD __host__ __device__
#elif !defined(NEGPIPE_HD)
#define NEGPIPE_HD
#endif
