// Time line of the path from device to host: overlap of kernels and copies, and idle time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <nlohmann/json.hpp>

#include "device_dataset.hpp"
#include "memory.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/core/training.hpp"
#include "negpipe/plan.hpp"
#include "timing.hpp"

namespace negpipe::bench {

/// Copies count points of a cycle to host memory through one double buffer, as the backend does for one calling thread.
///
/// - buffer_bytes: size of each buffer
/// - Returns the rate; the shares of time in which the device computes, copies, and is idle; and for the first pieces
///   [kernel begin, kernel end, copy end] in milliseconds. A kernel counts for no longer than it takes alone (measured
///   by the protocol), so that the host's work before a launch is not counted.
nlohmann::ordered_json time_way_out(const protocol& how, const core::training_plan& plan, const core::cycle_key& key,
                                    const cuda::device_view& data, std::uint64_t count, std::size_t buffer_bytes,
                                    cuda::device_memory& memory);

/// Fills host columns with one batch per call, from threads that each have columns of their own, as `generate` does.
///
/// - page_locked: columns in memory of filler.allocate_host; else in pageable memory, through the double buffer
/// - Returns threads, page_locked and points_per_second. Throws backend_error if the first batch differs from expected.
nlohmann::ordered_json time_calls(const backend& filler, const backend& expected, const training_plan& plan,
                                  item_type width, unsigned threads, bool page_locked, std::uint64_t batches);

}  // namespace negpipe::bench
