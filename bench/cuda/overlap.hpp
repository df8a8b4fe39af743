// Time line of the path from the device to the host: how far kernels and copies overlap, and when both are idle.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <nlohmann/json.hpp>

#include "device_dataset.hpp"
#include "memory.hpp"
#include "negpipe/core/training.hpp"
#include "timing.hpp"

namespace negpipe::bench {

/// Sends count points of a cycle to host memory through one lane with buffers of the given size, as the backend does
/// for one calling thread. Gives the rate, the share of the time in which the device computes, in which it copies and
/// in which it does neither, and the first pieces' times in milliseconds: kernel begins, kernel ends, copy ends.
/// A kernel counts for no longer than it takes alone, timed as how says: the host's work before a launch is not its.
nlohmann::ordered_json time_way_out(const protocol& how, const core::training_plan& plan, const core::cycle_key& key,
                                    const cuda::device_view& data, std::uint64_t count, std::size_t buffer_bytes,
                                    cuda::device_memory& memory);

}  // namespace negpipe::bench
