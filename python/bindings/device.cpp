// DeviceFiller: batches in the memory of a CUDA device that the caller owns, by its address.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <vector>

#include "bindings.hpp"
#include "negpipe/device.hpp"
#include "negpipe/error.hpp"

namespace negpipe::python {

namespace {

template <typename T>
std::span<T> column_at(std::uintptr_t address, std::size_t count) {
  return {reinterpret_cast<T*>(address), count};
}

device_sampler training_filler(const sampler& same, int device) {
  const nb::gil_scoped_release released;
  return device_sampler(same, {.device = device});
}

/// columns: addresses of users int32, items int32, labels int8 and, with mask padding, the mask int8. stream: a
/// cudaStream_t. Queues the work and returns.
void fill(const device_sampler& source, std::uint32_t epoch, std::uint64_t batch,
          const std::vector<std::uintptr_t>& columns, std::size_t count, std::uintptr_t stream) {
  if (columns.size() < 3 || columns.size() > 4) throw option_error("`columns`: expected three or four addresses");
  training_columns out{.users = column_at<std::int32_t>(columns[0], count),
                       .items = column_at<std::int32_t>(columns[1], count),
                       .labels = column_at<std::int8_t>(columns[2], count)};
  if (columns.size() > 3) out.valid = column_at<std::int8_t>(columns[3], count);
  const nb::gil_scoped_release released;
  source.fill(epoch, batch, out, reinterpret_cast<device_stream>(stream));
}

/// The same for a sampler of the pairwise layout. columns: addresses of users int32, items int32, negatives int32 and,
/// with mask padding, the mask int8. count: rows.
void fill_pairs(const device_sampler& source, std::uint32_t epoch, std::uint64_t batch,
                const std::vector<std::uintptr_t>& columns, std::size_t count, std::uintptr_t stream) {
  if (columns.size() < 3 || columns.size() > 4) throw option_error("`columns`: expected three or four addresses");
  pair_columns out{.users = column_at<std::int32_t>(columns[0], count),
                   .items = column_at<std::int32_t>(columns[1], count),
                   .negatives = column_at<std::int32_t>(columns[2], count * source.plan().negatives)};
  if (columns.size() > 3) out.valid = column_at<std::int8_t>(columns[3], count);
  const nb::gil_scoped_release released;
  source.fill(epoch, batch, out, reinterpret_cast<device_stream>(stream));
}

}  // namespace

void bind_device(nb::module_& module) {
  nb::class_<device_sampler>(module, "DeviceFiller")
      .def_prop_ro("batch_count", &device_sampler::batch_count)
      .def_prop_ro("description", &device_sampler::description)
      .def("fill", &fill, nb::arg("epoch"), nb::arg("batch"), nb::arg("columns"), nb::arg("count"), nb::arg("stream"))
      .def("fill_pairs", &fill_pairs, nb::arg("epoch"), nb::arg("batch"), nb::arg("columns"), nb::arg("count"),
           nb::arg("stream"));
  module.def("training_filler", &training_filler, nb::arg("sampler"), nb::arg("device"));
}

}  // namespace negpipe::python
