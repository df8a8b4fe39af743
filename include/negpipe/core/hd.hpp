// NEGPIPE_HD marks a function that runs on the host and, under nvcc, on the device.
//
// A translation unit may define it beforehand: kernels compiled for one instruction set define it to force inlining, so
// that the linker never shares their copies of these functions with code that runs on older machines.
#pragma once

#if defined(__CUDACC__)
#define NEGPIPE_HD __host__ __device__
#elif !defined(NEGPIPE_HD)
#define NEGPIPE_HD
#endif

// NEGPIPE_UNROLL before a loop of a few known iterations keeps the arrays that it indexes in registers. NEGPIPE_ROLLED
// keeps nvcc from unrolling a loop that rarely iterates.
#if defined(__CUDA_ARCH__)
#define NEGPIPE_UNROLL _Pragma("unroll")
#define NEGPIPE_ROLLED _Pragma("unroll 1")
#elif defined(__CUDACC__)  // nvcc's host pass accepts neither this form nor the next
#define NEGPIPE_UNROLL
#define NEGPIPE_ROLLED
#else
#define NEGPIPE_UNROLL _Pragma("GCC unroll 8")
#define NEGPIPE_ROLLED
#endif
