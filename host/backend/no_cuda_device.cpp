// negpipe/device.hpp, device_negatives.hpp and device_pool.hpp in builds without CUDA: constructors throw, so the other
// members are never called.
#include "negpipe/backend_factory.hpp"
#include "negpipe/device.hpp"
#include "negpipe/device_negatives.hpp"
#include "negpipe/device_pool.hpp"
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
void device_sampler::fill_points(std::uint32_t, std::uint64_t, std::uint64_t, const training_columns&,
                                 device_stream) const {
  refuse();
}
void device_sampler::fill_rows(std::uint32_t, std::uint64_t, std::uint64_t, const pair_columns&, device_stream) const {
  refuse();
}
void device_sampler::fill_evaluation_rows(std::uint64_t, std::uint64_t, const evaluation_columns&, std::span<std::byte>,
                                          device_stream) const {
  refuse();
}
void device_sampler::fill_evaluation(std::uint64_t, const evaluation_columns&, std::span<std::byte>,
                                     device_stream) const {
  refuse();
}
std::uint64_t device_sampler::evaluation_workspace_bytes() const { refuse(); }
device_replay device_sampler::make_replay(batch_cursor, std::uint32_t) const { refuse(); }
void device_replay::fill_next(const training_columns&, device_stream) const { refuse(); }
void device_replay::seek(batch_cursor, device_stream) const { refuse(); }
const batch_cursor* device_replay::cursor() const { refuse(); }
batch_cursor device_replay::position(device_stream) const { refuse(); }

device_pool::device_pool(int) { refuse(); }
int device_pool::device() const { refuse(); }
device_stream device_pool::stream() const { refuse(); }
device_block device_pool::take(std::size_t) const { refuse(); }
std::byte* device_block::data() const { refuse(); }
void device_block::finish_writing() const { refuse(); }
void device_block::lend_to(device_stream) const { refuse(); }
void device_block::download(std::size_t, std::span<std::byte>) const { refuse(); }
void convert_async(std::span<const std::int8_t>, std::span<float>, int, device_stream) { refuse(); }
void convert_async(std::span<const std::int8_t>, std::span<std::int64_t>, int, device_stream) { refuse(); }
void convert_async(std::span<const std::int32_t>, std::span<std::int64_t>, int, device_stream) { refuse(); }
void copy_async(std::span<const std::byte>, std::span<std::byte>, int, device_stream) { refuse(); }
void add_async(std::span<std::int32_t>, std::int32_t, int, device_stream) { refuse(); }
void zero_async(std::span<std::byte>, int, device_stream) { refuse(); }

device_negative_sampler::device_negative_sampler(const dataset&, const negative_options&, const device_options&) {
  refuse();
}
std::string device_negative_sampler::description() const { refuse(); }
void device_negative_sampler::sample(const device_ids&, const device_draw_call&, std::span<std::int32_t>,
                                     device_stream) const {
  refuse();
}
void device_negative_sampler::sample_shared(const device_draw_call&, std::span<std::int32_t>, device_stream) const {
  refuse();
}
void device_negative_sampler::contains(const device_ids&, const device_ids&, std::span<std::uint8_t>,
                                       device_stream) const {
  refuse();
}
void device_negative_sampler::contains_each(const device_ids&, const device_ids&, std::span<std::uint8_t>,
                                            device_stream) const {
  refuse();
}
void device_negative_sampler::log_q(const device_ids&, const device_ids&, std::span<float>, device_stream) const {
  refuse();
}
void device_negative_sampler::log_q_each(const device_ids&, const device_ids&, std::span<float>, device_stream) const {
  refuse();
}
void device_negative_sampler::check(device_stream) const { refuse(); }

}  // namespace negpipe
