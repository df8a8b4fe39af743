// Programs with one fault each: broken NAME must be caught (see the check script).
#include <cassert>
#include <string>

#include "test.h"

__global__ void oobRead(const int* a, int* o) { o[threadIdx.x] = a[threadIdx.x + 1]; }
__global__ void oobWrite(int* o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) o[i] = i;
}
__global__ void sharedOob(int* o, int k) {
  __shared__ int s[64];
  s[threadIdx.x + k] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = s[threadIdx.x];
}
__global__ void dynOob(int* o, int k) {
  extern __shared__ int d[];
  d[threadIdx.x * k] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = d[0];
}
__global__ void misaligned(char* p) { *reinterpret_cast<int*>(p + 2 + threadIdx.x * 4) = 1; }
__global__ void fine(int* o, int v) { o[threadIdx.x] = v; }
__global__ void missingSync(int* o) {
  __shared__ int s[128];
  s[threadIdx.x] = threadIdx.x;
  o[threadIdx.x] = s[127 - threadIdx.x];
}
__global__ void goodSync(int* o) {
  __shared__ int s[128];
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = s[127 - threadIdx.x];
}
__global__ void missingWarpSync(int* o) {
  __shared__ volatile int s[32];
  ((int*)s)[threadIdx.x] = threadIdx.x;
  o[threadIdx.x] = ((int*)s)[31 - threadIdx.x];
}
__global__ void divergentSync(int* o) {
  if (threadIdx.x < 16) {
    o[threadIdx.x] = 1;
    __syncthreads();
  } else {
    o[threadIdx.x] = 2;
    __syncthreads();
    o[0] = 1;
  }
}
__global__ void barrierDeadlock(int* o) {
  if (threadIdx.x < 32)
    asm volatile("bar.sync 1, 64;");
  else
    asm volatile("bar.sync 2, 64;");
  o[threadIdx.x] = 1;
}
__global__ void wrongMask(unsigned* o) {
  if (threadIdx.x & 1) o[threadIdx.x] = __ballot_sync(0x55555555u, 1);
}
__global__ void copyAll(const int* a, int* o, int n) {
  int i = threadIdx.x;
  if (i < n) o[i] = a[i];
}
__global__ void doAssert(int n) { assert(n == 3); }
__global__ void doTrap() { __trap(); }
__global__ void hang(volatile int* f) {
  while (!*f) {
  }
}
__global__ void writeConst(const int* p) { *const_cast<int*>(p) = 1; }

int main(int argc, char** argv) {
  std::string w = argc > 1 ? argv[1] : "";
  int *a, *o;
  cudaMalloc(&a, 64 * 4);
  cudaMalloc(&o, 256 * 4);
  cudaMemset(a, 0, 64 * 4);
  std::vector<int> h(256);
  cudaError_t want = cudaErrorIllegalAddress;
  if (w == "oob-read")
    oobRead<<<1, 64>>>(a, o);
  else if (w == "oob-write")
    oobWrite<<<5, 64>>>(o, 256);
  else if (w == "null")
    fine<<<1, 32>>>(nullptr, 1);
  else if (w == "host-pointer")
    fine<<<1, 32>>>(h.data(), 1);
  else if (w == "shared-oob")
    sharedOob<<<1, 64>>>(o, 1);
  else if (w == "dynamic-shared-oob")
    dynOob<<<1, 64, 64 * 4>>>(o, 2);
  else if (w == "use-after-free") {
    cudaFree(a);
    oobRead<<<1, 32>>>(a, o);
  } else if (w == "misaligned") {
    want = cudaErrorMisalignedAddress;
    misaligned<<<1, 8>>>(reinterpret_cast<char*>(o));
  } else if (w == "missing-sync") {
    want = cudaErrorLaunchFailure;
    missingSync<<<1, 128>>>(o);
  } else if (w == "good-sync") {
    want = cudaSuccess;
    goodSync<<<1, 128>>>(o);
  } else if (w == "missing-warp-sync") {
    want = cudaErrorLaunchFailure;
    missingWarpSync<<<1, 32>>>(o);
  } else if (w == "divergent-sync") {
    want = cudaErrorLaunchFailure;
    divergentSync<<<1, 32>>>(o);
  } else if (w == "barrier-deadlock") {
    want = cudaErrorLaunchFailure;
    barrierDeadlock<<<1, 64>>>(o);
  } else if (w == "wrong-mask") {
    want = cudaErrorLaunchFailure;
    wrongMask<<<1, 32>>>(reinterpret_cast<unsigned*>(o));
  } else if (w == "uninitialised") {
    want = cudaErrorLaunchFailure;
    int* u;
    cudaMalloc(&u, 64 * 4);
    cudaMemset(u, 0, 63 * 4);
    copyAll<<<1, 64>>>(u, o, 64);
  } else if (w == "initialised") {
    want = cudaSuccess;
    copyAll<<<1, 64>>>(a, o, 64);
  } else if (w == "assert") {
    want = cudaErrorAssert;
    doAssert<<<1, 32>>>(4);
  } else if (w == "trap") {
    want = cudaErrorLaunchFailure;
    doTrap<<<1, 32>>>();
  } else if (w == "hang") {
    want = cudaErrorLaunchTimeout;
    hang<<<1, 32>>>(a);
  } else if (w == "leak") {
    cudaFree(a);
    return 0;
  } else if (w == "host-read") {
    printf("%d\n", *o);
    return 0;
  } else if (w == "no-stream-sync") {  // reads the result without waiting for it
    int* pin;
    cudaMallocHost(&pin, 64 * 4);
    memset(pin, 0, 64 * 4);
    cudaStream_t s;
    cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
    fine<<<1, 64, 0, s>>>(o, 7);
    cudaMemcpyAsync(pin, o, 64 * 4, cudaMemcpyDeviceToHost, s);
    printf("result %d\n", pin[5]);
    return pin[5] == 7 ? 0 : 1;
  } else if (w == "no-event-wait") {  // two streams, no event between producer and consumer
    cudaStream_t s, t;
    cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking);
    fine<<<1, 64, 0, s>>>(a, 7);
    copyAll<<<1, 64, 0, t>>>(a, o, 64);
    cudaStreamSynchronize(t);
    cudaMemcpyAsync(h.data(), o, 64 * 4, cudaMemcpyDeviceToHost, t);
    cudaStreamSynchronize(t);
    printf("result %d\n", h[5]);
    return h[5] == 7 ? 0 : 1;
  } else {
    printf("unknown fault\n");
    return 2;
  }
  cudaError_t e = cudaDeviceSynchronize();
  cudaError_t again = cudaMemcpy(h.data(), o, 4, cudaMemcpyDeviceToHost);
  printf("%s: %s, want %s, then %s\n", w.c_str(), cudaGetErrorName(e), cudaGetErrorName(want), cudaGetErrorName(again));
  return e == want && (want == cudaSuccess) == (again == cudaSuccess) ? 0 : 1;
}
