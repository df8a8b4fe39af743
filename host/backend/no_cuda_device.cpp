// negpipe/device.hpp in builds without CUDA: constructors throw, so the other members are never called.
#include "negpipe/backend_factory.hpp"
#include "negpipe/device.hpp"
#include "negpipe/error.hpp"

namespace negpipe {

namespace {

[[noreturn]] void refuse() { throw backend_error("device: no CUDA device is available: " + cuda_status().reason); }

}  // namespace

device_sampler::device_sampler(const dataset&, const sampler_options&, const device_options&) { refuse(); }
device_sampler::device_sampler(const device_interactions&, const sampler_options&, const device_options&) { refuse(); }
std::string device_sampler::description() const { refuse(); }
void device_sampler::fill(std::uint32_t, std::uint64_t, std::uint64_t, const training_columns&, device_stream) const {
  refuse();
}
void device_sampler::fill(std::uint32_t, std::uint64_t, const pair_columns&, device_stream) const { refuse(); }
void device_sampler::fill_evaluation(std::uint64_t, const evaluation_columns&, std::span<std::byte>,
                                     device_stream) const {
  refuse();
}
std::uint64_t device_sampler::evaluation_workspace_bytes() const { refuse(); }
device_replay device_sampler::make_replay(batch_cursor, std::uint32_t) const { refuse(); }
void device_replay::fill_next(const training_columns&, device_stream) const { refuse(); }
void device_replay::seek(batch_cursor, device_stream) const { refuse(); }
const batch_cursor* device_replay::cursor() const { refuse(); }

}  // namespace negpipe
