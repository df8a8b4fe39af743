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

// NEGPIPE_UNROLL before a loop of a few known steps keeps the arrays that it indexes in registers; NEGPIPE_ROLLED
// keeps a loop that seldom goes round from being written out by nvcc, many times over.
#if defined(__CUDA_ARCH__)
#define NEGPIPE_UNROLL _Pragma("unroll")
#define NEGPIPE_ROLLED _Pragma("unroll 1")
#elif defined(__CUDACC__)  // nvcc's host pass knows neither this form nor the next
#define NEGPIPE_UNROLL
#define NEGPIPE_ROLLED
#else
#define NEGPIPE_UNROLL _Pragma("GCC unroll 8")
#define NEGPIPE_ROLLED
#endif
