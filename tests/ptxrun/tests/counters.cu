// Kernels whose counters are known (the check script compares them).
#include "test.h"
__global__ void coalesced(const int* a, int* o) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  o[i] = a[i];
}
__global__ void strided(const int* a, int* o) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  o[i] = a[i * 8];
}
__global__ void same(const int* a, int* o) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  o[i] = a[0];
}
__global__ void conflict(int* o, int k) {
  extern __shared__ int s[];
  s[threadIdx.x * k] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = s[0];
}
__global__ void half(int* o) {
  if (threadIdx.x & 1) atomicAdd(o + (threadIdx.x & 2), 1);
}
int main() {
  Dev<int> a(std::vector<int>(8192, 1)), o(1024);
  coalesced<<<8, 128>>>(a, o);
  strided<<<8, 128>>>(a, o);
  same<<<8, 128>>>(a, o);
  conflict<<<1, 32, 32 * 32 * 4>>>(o, 32);
  half<<<1, 64>>>(o);
  CU(cudaDeviceSynchronize());
  return finish("counters");
}
