#include "device_part.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "negpipe/error.hpp"

namespace negpipe::cuda {

device_part::device_part(int device, const positives_index& index, const std::vector<dataset_weights>& weights,
                         const cuda_backend_options& options)
    : device_(device), buffer_bytes_(options.buffer_bytes) {
  const device_guard current(device);
  memory_ = make_pool_memory();
  setup_ = std::make_unique<stream>();
  for (const dataset_weights& given : weights) {
    if (given.draw() == nullptr || known(*given.draw()) != nullptr) continue;  // equal weights share one copy
    weights_.emplace_back(given, index.source().positive_count(), *memory_, setup_->get());
  }
  const std::uint64_t budget_bytes = index.form() == core::membership::bitset ? ~std::uint64_t{0} : 0;
  data_ = std::make_unique<device_dataset>(
      device_dataset::upload_async(index.source(), budget_bytes, options.form, *memory_, setup_->get()));
  setup_->synchronize();
  memory_->release_unused();
}

device_part::~device_part() {
  const quiet_device_guard current(device_);
  buffers_.clear();
  data_.reset();
  weights_.clear();
  ignore(cudaDeviceSynchronize());  // no memory is being freed when the pool is destroyed
  setup_.reset();
  memory_.reset();
}

std::string device_part::description() const {
  cudaDeviceProp properties{};
  NEGPIPE_CUDA_CHECK(cudaGetDeviceProperties(&properties, device_));
  return std::to_string(device_) + ": " + properties.name + ", " + name_of(data_->view().form) + " of " +
         std::to_string(data_->membership_bytes() >> 20) + " MiB";
}

const device_weights* device_part::known(const core::weighted_draw& draw) const {
  const auto is_same = [&](const device_weights& own) {
    const core::weighted_draw host = own.host_draw();
    return draw.columns == host.columns && draw.row_sums == host.row_sums;
  };
  const auto found = std::ranges::find_if(weights_, is_same);
  return found == weights_.end() ? nullptr : &*found;
}

core::weighted_draw device_part::find(const core::weighted_draw& draw) const {
  if (!draw.is_set()) return draw;
  if (const device_weights* const own = known(draw)) return own->draw();
  throw option_error("weights", "the plan draws by weights that the backend does not have; give them to make_backend");
}

std::unique_ptr<double_buffer> device_part::take_buffers(std::size_t unit_bytes) const {
  std::unique_ptr<double_buffer> buffers;
  {
    const std::lock_guard lock(mutex_);
    if (!buffers_.empty()) {
      buffers = std::move(buffers_.back());
      buffers_.pop_back();
    }
  }
  if (buffers == nullptr || buffers->buffer_bytes() < unit_bytes) {
    buffers = std::make_unique<double_buffer>(buffer_bytes_for(unit_bytes), *memory_);
  }
  return buffers;
}

void device_part::return_buffers(std::unique_ptr<double_buffer> buffers) const {
  const std::lock_guard lock(mutex_);
  buffers_.push_back(std::move(buffers));
}

}  // namespace negpipe::cuda
