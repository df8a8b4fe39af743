// Batches in device memory, compared with the CPU before anything is timed.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "memory.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"

namespace negpipe::bench {

/// Columns of training points or evaluation values.
struct device_batch {
  device_batch(std::uint64_t count, item_type item_width, cuda::device_memory& memory, cudaStream_t stream)
      : users(count, memory, stream),
        items(count * item_bytes(item_width), memory, stream),
        flags(count, memory, stream),
        width(item_width) {}

  core::training_pointers training() { return {users.data(), items.data(), width, flags.data(), nullptr}; }
  core::evaluation_pointers evaluation() { return {users.data(), items.data(), width, flags.data()}; }

  cuda::device_buffer<std::int32_t> users;
  cuda::device_buffer<std::byte> items;
  cuda::device_buffer<std::int8_t> flags;
  item_type width;
};

/// Throws unless the first batch of a cycle equals core's.
void check_batch(cudaStream_t stream, const training_plan& plan, const core::cycle_key& key,
                 const positives_index& index, const device_batch& made);

/// Throws unless rows [first, first + count) of the plan equal the CPU backend's.
void check_rows(cudaStream_t stream, const evaluation_plan& plan, const positives_index& index, std::uint64_t first,
                std::uint64_t count, const device_batch& made);

}  // namespace negpipe::bench
