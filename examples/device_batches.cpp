// Trains on batches that never leave the device: each launch of a captured CUDA graph makes and uses the next batch.
//
//   device_batches [STEPS]
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <stdexcept>

#include "negpipe/device.hpp"
#include "negpipe/error.hpp"
#include "negpipe/synth.hpp"

namespace {

constexpr std::uint64_t batch_size = 4096;

void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

template <typename T>
std::span<T> allocate(std::uint64_t count) {
  void* pointer = nullptr;
  check(cudaMalloc(&pointer, count * sizeof(T)));
  return {static_cast<T*>(pointer), count};
}

// Placeholder for a training step: copies the labels to the host.
void train(const negpipe::training_columns& batch, std::int8_t* labels, cudaStream_t stream) {
  check(cudaMemcpyAsync(labels, batch.labels.data(), batch.labels.size(), cudaMemcpyDeviceToHost, stream));
}

void run(int steps) {
  const negpipe::dataset data = negpipe::synthesize({.users = 500, .items = 2000, .interactions = 40'000});
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  const negpipe::training_columns batch{allocate<std::int32_t>(batch_size), allocate<std::uint16_t>(batch_size),
                                        allocate<std::int8_t>(batch_size), {}};
  void* labels = nullptr;
  check(cudaMallocHost(&labels, batch_size));

  const negpipe::device_sampler sampler(data, {.seed = 42, .negatives = 4, .batch_size = batch_size},
                                        {.stream = stream});
  const negpipe::device_replay replay = sampler.make_replay();
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  replay.fill_next(batch, stream);  // each launch makes the next batch, across cycles
  train(batch, static_cast<std::int8_t*>(labels), stream);
  check(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t step = nullptr;
  check(cudaGraphInstantiate(&step, graph, 0));

  std::printf("%s, %llu batches per cycle\n", sampler.description().c_str(),
              static_cast<unsigned long long>(sampler.batch_count()));
  for (int i = 0; i < steps; ++i) {
    check(cudaGraphLaunch(step, stream));
    check(cudaStreamSynchronize(stream));
    int positives = 0;
    for (std::uint64_t k = 0; k < batch_size; ++k) positives += static_cast<std::int8_t*>(labels)[k];
    std::printf("batch %d: %d positives of %llu points\n", i, positives,
                static_cast<unsigned long long>(batch_size));
  }
  check(cudaGraphExecDestroy(step));
  check(cudaGraphDestroy(graph));
  check(cudaFreeHost(labels));
  for (void* column : {static_cast<void*>(batch.users.data()), batch.items.data(),
                       static_cast<void*>(batch.labels.data())}) {
    check(cudaFree(column));
  }
  // The stream is not destroyed here: the sampler frees its memory in stream order.
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? std::atoi(argv[1]) : 5);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "device_batches: %s\n", error.what());
    return 1;
  }
}
