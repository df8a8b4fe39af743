#include "device_data.hpp"

#include <string>
#include <utility>

#include "negpipe/backend_factory.hpp"
#include "negpipe/error.hpp"

namespace negpipe {

int cuda::checked_device(int device) {
  const backend_status status = cuda_status();
  if (!status.available) throw backend_error("device: no CUDA device is available: " + status.reason);
  int count = 0;
  NEGPIPE_CUDA_CHECK(cudaGetDeviceCount(&count));
  if (device >= 0 && device < count) return device;
  throw option_error("device", std::to_string(device) + " does not exist; 0 to " + std::to_string(count - 1) +
                     " wanted");
}

namespace detail {

cuda::membership_form form_of(const device_options& on) {
  if (!on.membership) return cuda::membership_form::automatic;
  switch (*on.membership) {
    case core::membership::bitset:
      return cuda::membership_form::bitset;
    case core::membership::bloom_filter:
      return cuda::membership_form::bloom_filter;
    default:
      return cuda::membership_form::sorted_search;
  }
}

void check_address(const char* what, const void* data, std::uint64_t value_bytes, int device) {
  const memory_location found = memory_location_of(data);
  const bool is_there =
      found.space == memory_space::managed || (found.space == memory_space::device && found.device == device);
  if (!is_there) {
    throw option_error(std::string(what) + " lies in " +
                       (found.space == memory_space::host ? "host memory"
                                                          : "memory of the device " + std::to_string(found.device)) +
                       "; memory of the device " + std::to_string(device) + " wanted");
  }
  if (reinterpret_cast<std::uintptr_t>(data) % value_bytes != 0) {
    throw option_error(std::string(what) + " is not aligned to its type");
  }
}

device_data::device_data(const device_options& on)
    : device(on.device),
      stream(on.stream),
      memory(on.allocator.allocate == nullptr && on.allocator.deallocate == nullptr
                 ? cuda::make_pool_memory()
                 : cuda::make_lent_memory(on.allocator)) {}

device_data::~device_data() {
  const cuda::quiet_device_guard current(device);
  cuda::ignore(cudaDeviceSynchronize());  // fills may run on any stream
  weights = {};
  evaluation_weights = {};
  dataset.reset();
  cuda::ignore(cudaStreamSynchronize(stream));  // no memory is being freed when the pool is destroyed
  memory.reset();
}

void device_data::take(cuda::device_dataset&& made) {
  dataset.emplace(std::move(made));
  const cuda::device_view view = dataset->view();
  counts = {view.positive_count, view.user_count, view.item_count};
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  memory->release_unused();
}

std::string device_data::description() const {
  const cuda::device_guard current(device);
  cudaDeviceProp properties{};
  NEGPIPE_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  return "cuda:" + std::to_string(device) + " (" + properties.name + ", " + cuda::name_of(dataset->view().form) +
         " of " + std::to_string(dataset->membership_bytes() >> 20) + " MiB)";
}

}  // namespace detail

}  // namespace negpipe
