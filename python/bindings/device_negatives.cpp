// DeviceNegatives: draws and membership in the memory of a CUDA device, given by DLPack.
#include "negpipe/device_negatives.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>

#include <cstdint>
#include <optional>
#include <variant>

#include "bindings.hpp"

namespace negpipe::python {

namespace {

template <typename T>
using device_array = nb::ndarray<T, nb::c_contig, nb::device::cuda>;
/// User or item numbers, of any shape.
using id_array = std::variant<device_array<const std::int32_t>, device_array<const std::int64_t>>;
using one_number = std::optional<device_array<const std::int64_t>>;
using excluded_items = std::optional<device_array<const std::int32_t>>;

device_ids ids_of(const id_array& array) {
  return std::visit([](const auto& values) { return device_ids(values.data(), values.size()); }, array);
}

template <typename T>
std::span<T> values_of(const device_array<T>& array) {
  return {array.data(), array.size()};
}

const std::int64_t* address_of(const one_number& number, const char* name) {
  if (!number) return nullptr;
  if (number->size() == 1) return number->data();
  throw option_error(name, std::to_string(number->size()) + " numbers given; expected one");
}

device_negative_sampler make(const negative_sampler& same, std::uint64_t bitset_budget, int device) {
  const nb::gil_scoped_release released;
  return device_negative_sampler(
      same.data(), {.seed = same.seed(), .weights = same.weights(), .bitset_budget = bitset_budget},
      {.device = device});
}

/// Queues out, int32 [users * K]. users: none means shared, [K]. stream: a cudaStream_t.
void sample(const device_negative_sampler& source, const std::optional<id_array>& users,
            const device_array<std::int32_t>& out, std::uint32_t negatives, std::uint32_t at, std::uint64_t offset,
            const one_number& device_at, const one_number& device_offset, bool distinct,
            const excluded_items& excluded, std::uintptr_t stream) {
  device_draw_call call{.negatives = negatives,
                        .at = at,
                        .offset = offset,
                        .device_at = address_of(device_at, "at"),
                        .device_offset = address_of(device_offset, "offset"),
                        .distinct = distinct};
  if (excluded) call.excluded = values_of(*excluded);
  const nb::gil_scoped_release released;
  if (users) {
    source.sample(ids_of(*users), call, values_of(out), reinterpret_cast<device_stream>(stream));
  } else {
    source.sample_shared(call, values_of(out), reinterpret_cast<device_stream>(stream));
  }
}

/// Queues found, uint8. each: all items for each of the users; else the same number of items a user.
void contains(const device_negative_sampler& source, const id_array& users, const id_array& items,
              const device_array<std::uint8_t>& found, bool each, std::uintptr_t stream) {
  const nb::gil_scoped_release released;
  if (each) {
    source.contains_each(ids_of(users), ids_of(items), values_of(found), reinterpret_cast<device_stream>(stream));
  } else {
    source.contains(ids_of(users), ids_of(items), values_of(found), reinterpret_cast<device_stream>(stream));
  }
}

/// Queues values, float32. each: as for contains.
void log_q(const device_negative_sampler& source, const id_array& users, const id_array& items,
           const device_array<float>& values, bool each, std::uintptr_t stream) {
  const nb::gil_scoped_release released;
  if (each) {
    source.log_q_each(ids_of(users), ids_of(items), values_of(values), reinterpret_cast<device_stream>(stream));
  } else {
    source.log_q(ids_of(users), ids_of(items), values_of(values), reinterpret_cast<device_stream>(stream));
  }
}

void check(const device_negative_sampler& source, std::uintptr_t stream) {
  const nb::gil_scoped_release released;
  source.check(reinterpret_cast<device_stream>(stream));
}

}  // namespace

void bind_device_negatives(nb::module_& module) {
  nb::class_<device_negative_sampler>(module, "DeviceNegatives")
      .def_prop_ro("description", &device_negative_sampler::description)
      .def("sample", &sample, nb::arg("users").none().noconvert(), nb::arg("out").noconvert(), nb::kw_only(),
           nb::arg("negatives"), nb::arg("at") = 0, nb::arg("offset") = 0,
           nb::arg("device_at").noconvert() = nb::none(), nb::arg("device_offset").noconvert() = nb::none(),
           nb::arg("distinct") = false, nb::arg("excluded").noconvert() = nb::none(), nb::arg("stream"))
      .def("contains", &contains, nb::arg("users").noconvert(), nb::arg("items").noconvert(),
           nb::arg("found").noconvert(), nb::kw_only(), nb::arg("each"), nb::arg("stream"))
      .def("log_q", &log_q, nb::arg("users").noconvert(), nb::arg("items").noconvert(),
           nb::arg("values").noconvert(), nb::kw_only(), nb::arg("each"), nb::arg("stream"))
      .def("check", &check, nb::arg("stream"));
  module.def("device_negatives", &make, nb::arg("sampler"), nb::kw_only(), nb::arg("bitset_budget"),
             nb::arg("device"));
}

}  // namespace negpipe::python
