// Streams, events, graphs, pools, pinned memory, errors, devices.
#include <atomic>
#include <string>

#include "test.h"

__global__ void addTo(int* x, int n, int v) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) x[i] += v;
}
__global__ void scale(const int* x, int* y, int n, int v) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) y[i] = x[i] * v;
}
__global__ void sumTo(const int* a, const int* b, int* c, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) c[i] = a[i] + b[i];
}

static void graphs() {
  int n = 1000;
  Dev<int> a(n), b(n), c(n), d(n);
  int* pin;
  CU(cudaMallocHost(&pin, n * sizeof(int)));
  cudaStream_t s, t;
  CU(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
  CU(cudaStreamCreateWithPriority(&t, cudaStreamNonBlocking, -1));
  cudaEvent_t fork, join;
  CU(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
  CU(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
  CU(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
  scale<<<4, 64, 0, s>>>(a, b, n, 3);
  CU(cudaEventRecord(fork, s));
  CU(cudaStreamWaitEvent(t, fork));
  scale<<<4, 64, 0, t>>>(a, c, n, 5);
  addTo<<<4, 64, 0, s>>>(b, n, 1);
  CU(cudaEventRecord(join, t));
  CU(cudaStreamWaitEvent(s, join));
  CU(cudaMemsetAsync(d, 0, n * sizeof(int), s));
  sumTo<<<4, 64, 0, s>>>(b, c, d, n);
  CU(cudaMemcpyAsync(pin, d, n * sizeof(int), cudaMemcpyDeviceToHost, s));
  static std::atomic<int> calls;
  CU(cudaLaunchHostFunc(
      s, [](void* p) { ++*static_cast<std::atomic<int>*>(p); }, &calls));
  cudaStreamCaptureStatus st;
  CU(cudaStreamIsCapturing(s, &st));
  CHECK(st == cudaStreamCaptureStatusActive);
  cudaGraph_t g;
  CU(cudaStreamEndCapture(s, &g));
  size_t nodes = 0;
  CU(cudaGraphGetNodes(g, nullptr, &nodes));
  CHECK(nodes == 7);
  cudaGraphExec_t x;
  CU(cudaGraphInstantiate(&x, g, 0));
  CHECK(calls == 0);
  for (int round = 1; round < 4; round++) {
    std::vector<int> h(n);
    for (int i = 0; i < n; i++) h[i] = i * round;
    CU(cudaMemcpy(a, h.data(), n * sizeof(int), cudaMemcpyHostToDevice));
    CU(cudaGraphLaunch(x, s));
    CU(cudaStreamSynchronize(s));
    int bad = 0;
    for (int i = 0; i < n; i++) bad += pin[i] != i * round * 8 + 1;
    CHECK(bad == 0 && calls == round);
  }
  CU(cudaGraphExecDestroy(x));
  CU(cudaGraphDestroy(g));
  // Not joined; and a call that must not be made while capturing.
  CU(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
  CU(cudaEventRecord(fork, s));
  CU(cudaStreamWaitEvent(t, fork));
  scale<<<4, 64, 0, t>>>(a, c, n, 5);
  CHECK(cudaStreamEndCapture(s, &g) == cudaErrorStreamCaptureUnjoined);
  CU(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
  void* p;
  CHECK(cudaMalloc(&p, 100) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamEndCapture(s, &g) == cudaErrorStreamCaptureInvalidated);
  (void)cudaGetLastError();
  // Built by hand, with changed parameters.
  CU(cudaGraphCreate(&g, 0));
  int v1 = 2, v2 = 7, *pa = a, *pb = b;
  void* args[] = {&pa, &pb, &n, &v1};
  cudaKernelNodeParams kp{};
  kp.func = reinterpret_cast<void*>(scale);
  kp.gridDim = dim3(2);
  kp.blockDim = dim3(96);
  kp.kernelParams = args;
  cudaGraphNode_t k;
  CU(cudaGraphAddKernelNode(&k, g, nullptr, 0, &kp));
  CU(cudaGraphInstantiate(&x, g, 0));
  CU(cudaGraphLaunch(x, s));
  CU(cudaStreamSynchronize(s));
  CHECK(b.get()[10] == 10 * 3 * 2);
  args[3] = &v2;
  CU(cudaGraphExecKernelNodeSetParams(x, k, &kp));
  CU(cudaGraphLaunch(x, s));
  CU(cudaStreamSynchronize(s));
  CHECK(b.get()[10] == 10 * 3 * 7);
  CU(cudaGraphExecDestroy(x));
  CU(cudaGraphDestroy(g));
  CU(cudaEventDestroy(fork));
  CU(cudaEventDestroy(join));
  CU(cudaStreamDestroy(s));
  CU(cudaStreamDestroy(t));
  CU(cudaFreeHost(pin));
}

static void streams() {
  int n = 4096;
  cudaStream_t s, t;
  CU(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
  CU(cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking));
  int *pin, *out;
  CU(cudaHostAlloc(&pin, n * sizeof(int), cudaHostAllocDefault));
  CU(cudaHostAlloc(&out, n * sizeof(int), cudaHostAllocDefault));
  for (int i = 0; i < n; i++) pin[i] = i;
  int *a, *b;
  CU(cudaMallocAsync(&a, n * sizeof(int), s));
  CU(cudaMallocAsync(&b, n * sizeof(int), s));
  cudaEvent_t e0, e1, done;
  CU(cudaEventCreate(&e0));
  CU(cudaEventCreate(&e1));
  CU(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
  CU(cudaEventRecord(e0, s));
  CU(cudaMemcpyAsync(a, pin, n * sizeof(int), cudaMemcpyHostToDevice, s));
  scale<<<8, 128, 0, s>>>(a, b, n, 4);
  CU(cudaEventRecord(e1, s));
  CU(cudaStreamWaitEvent(t, e1));
  addTo<<<8, 128, 0, t>>>(b, n, 2);
  CU(cudaMemcpyAsync(out, b, n * sizeof(int), cudaMemcpyDeviceToHost, t));
  CU(cudaEventRecord(done, t));
  int polls = 0;
  while (cudaEventQuery(done) == cudaErrorNotReady) polls++;
  int bad = 0;
  for (int i = 0; i < n; i++) bad += out[i] != i * 4 + 2;
  CHECK(bad == 0);
  float ms = -1;
  CU(cudaEventSynchronize(e1));
  CU(cudaEventElapsedTime(&ms, e0, e1));
  CHECK(ms >= 0);
  CU(cudaFreeAsync(a, t));
  CU(cudaFreeAsync(b, t));
  CU(cudaStreamSynchronize(t));
  CU(cudaStreamSynchronize(s));
  // The kernel works on pinned, registered and managed memory too.
  std::vector<int> reg(n, 1);
  int* man;
  CU(cudaHostRegister(reg.data(), n * sizeof(int), cudaHostRegisterDefault));
  CU(cudaMallocManaged(&man, n * sizeof(int)));
  for (int i = 0; i < n; i++) man[i] = i;
  addTo<<<8, 128>>>(reg.data(), n, 5);
  addTo<<<8, 128>>>(man, n, 6);
  addTo<<<8, 128>>>(pin, n, 7);
  CU(cudaDeviceSynchronize());
  CHECK(reg[9] == 6 && man[9] == 15 && pin[9] == 16);
  CU(cudaHostUnregister(reg.data()));
  CU(cudaFree(man));
  cudaPointerAttributes at;
  CU(cudaPointerGetAttributes(&at, pin));
  CHECK(at.type == cudaMemoryTypeHost);
  CU(cudaPointerGetAttributes(&at, &n));
  CHECK(at.type == cudaMemoryTypeUnregistered);
  CU(cudaFreeHost(pin));
  CU(cudaFreeHost(out));
  CU(cudaStreamDestroy(s));
  CU(cudaStreamDestroy(t));
  CU(cudaEventDestroy(e0));
  CU(cudaEventDestroy(e1));
  CU(cudaEventDestroy(done));
}

static void memory() {
  size_t f0, f1, tot;
  CU(cudaMemGetInfo(&f0, &tot));
  void* p;
  CHECK(cudaMalloc(&p, tot * 2) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess);
  CU(cudaMalloc(&p, 1 << 20));
  CU(cudaMemGetInfo(&f1, &tot));
  CHECK(f0 - f1 == 1 << 20);
  CU(cudaFree(p));
  CHECK(cudaFree(p) == cudaErrorInvalidValue);
  (void)cudaGetLastError();
  int w = 10, h = 5;
  size_t pitch;
  int* q;
  CU(cudaMallocPitch(&q, &pitch, w * 4, h));
  std::vector<int> x(w * h), y(w * h);
  for (int i = 0; i < w * h; i++) x[i] = i * i;
  CU(cudaMemcpy2D(q, pitch, x.data(), w * 4, w * 4, h, cudaMemcpyHostToDevice));
  CU(cudaMemcpy2D(y.data(), w * 4, q, pitch, w * 4, h, cudaMemcpyDeviceToHost));
  CHECK(x == y);
  CHECK(cudaMemcpy(y.data(), q, pitch * h + 1, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  (void)cudaGetLastError();
  CU(cudaFree(q));
  cudaDeviceProp pr;
  CU(cudaGetDeviceProperties(&pr, 0));
  CHECK(pr.major == 9 && pr.multiProcessorCount == 132 && std::string(pr.name) == "ptxrun (CPU)");
  int v, blocks, grid;
  CU(cudaDeviceGetAttribute(&v, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  CHECK(v == 232448);
  CU(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, scale, 256, 0));
  CHECK(blocks == 8);
  CU(cudaOccupancyMaxPotentialBlockSize(&grid, &v, scale));
  CHECK(v >= 128 && grid >= 132);
  CHECK(std::string(cudaGetErrorName(cudaErrorIllegalAddress)) == "cudaErrorIllegalAddress");
  CHECK(cudaSetDevice(99) == cudaErrorInvalidDevice);
  (void)cudaGetLastError();
  int nd;
  CU(cudaGetDeviceCount(&nd));
  for (int i = 1; i < nd; i++) {  // PTXRUN_DEVICES: each has memory of its own
    CU(cudaSetDevice(i));
    Dev<int> a(std::vector<int>(100, i));
    addTo<<<1, 32>>>(a, 100, 5);
    CHECK(a.get()[3] == i + 5);
  }
  CU(cudaSetDevice(0));
}
int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "nodevice") {
    int n = -1;
    CHECK(cudaGetDeviceCount(&n) == cudaErrorNoDevice && n == 0);
    return finish("host_api nodevice");
  }
  if (argc > 1 && std::string(argv[1]) == "inject") {  // with PTXRUN_FAIL=cudaMalloc:2,cudaLaunchKernel:1:719
    void *p, *q;
    CU(cudaMalloc(&p, 10));
    CHECK(cudaMalloc(&q, 10) == cudaErrorMemoryAllocation);
    CU(cudaMalloc(&q, 10));
    (void)cudaGetLastError();
    addTo<<<1, 1>>>(static_cast<int*>(p), 1, 1);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    return finish("host_api inject");
  }
  graphs();
  streams();
  memory();
  return finish("host_api");
}
