// DeviceNegatives: draws and membership in the memory of a CUDA device, given by addresses. DLPack would cost more than
// the call; the caller, negpipe._torch_negatives, has checked types and contiguity.
#include "negpipe/device_negatives.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "bindings.hpp"

namespace negpipe::python {

namespace {

/// (address, number of values)
using array_at = std::pair<std::uintptr_t, std::size_t>;
/// User or item numbers: (address, number of values, whether they are int64 and not int32).
using ids_at = std::tuple<std::uintptr_t, std::size_t, bool>;

template <typename T>
std::span<T> values_of(const array_at& array) {
  return {reinterpret_cast<T*>(array.first), array.second};
}

device_ids ids_of(const ids_at& ids) {
  const auto [address, count, is_wide] = ids;
  if (is_wide) return {reinterpret_cast<const std::int64_t*>(address), count};
  return {reinterpret_cast<const std::int32_t*>(address), count};
}

/// Destroys the sampler without the GIL, because its destructor waits for the device, whose work may call Python.
class device_negatives {
 public:
  device_negatives(const negative_sampler& same, std::uint64_t bitset_budget, int device)
      : sampler_(std::in_place, same.data(),
                 negative_options{.seed = same.seed(), .weights = same.weights(), .bitset_budget = bitset_budget},
                 device_options{.device = device}) {}
  ~device_negatives() {
    const nb::gil_scoped_release released;
    sampler_.reset();
  }
  device_negatives(const device_negatives&) = delete;
  device_negatives& operator=(const device_negatives&) = delete;

  const device_negative_sampler* operator->() const { return &*sampler_; }

 private:
  std::optional<device_negative_sampler> sampler_;
};

std::unique_ptr<device_negatives> make(const negative_sampler& same, std::uint64_t bitset_budget, int device) {
  const nb::gil_scoped_release released;
  return std::make_unique<device_negatives>(same, bitset_budget, device);
}

/// Queues out, int32 [users * K]. users: none means shared, [K]. stream: a cudaStream_t.
/// device_at, device_offset: addresses of an int64, or 0.
void sample(const device_negatives& source, const std::optional<ids_at>& users, const array_at& out,
            std::uint32_t negatives, std::uint32_t at, std::uint64_t offset, std::uintptr_t device_at,
            std::uintptr_t device_offset, bool distinct, const std::optional<array_at>& excluded,
            std::uintptr_t stream) {
  device_draw_call call{.negatives = negatives,
                        .at = at,
                        .offset = offset,
                        .device_at = reinterpret_cast<const std::int64_t*>(device_at),
                        .device_offset = reinterpret_cast<const std::int64_t*>(device_offset),
                        .distinct = distinct};
  if (excluded) call.excluded = values_of<const std::int32_t>(*excluded);
  const nb::gil_scoped_release released;
  if (users) {
    source->sample(ids_of(*users), call, values_of<std::int32_t>(out), reinterpret_cast<device_stream>(stream));
  } else {
    source->sample_shared(call, values_of<std::int32_t>(out), reinterpret_cast<device_stream>(stream));
  }
}

/// Queues found, uint8. each: all items for each of the users; else the same number of items a user.
void contains(const device_negatives& source, const ids_at& users, const ids_at& items, const array_at& found,
              bool each, std::uintptr_t stream) {
  const std::span<std::uint8_t> out = values_of<std::uint8_t>(found);
  const nb::gil_scoped_release released;
  if (each) {
    source->contains_each(ids_of(users), ids_of(items), out, reinterpret_cast<device_stream>(stream));
  } else {
    source->contains(ids_of(users), ids_of(items), out, reinterpret_cast<device_stream>(stream));
  }
}

/// Queues values, float32. each: as for contains.
void log_q(const device_negatives& source, const ids_at& users, const ids_at& items, const array_at& values,
           bool each, std::uintptr_t stream) {
  const std::span<float> out = values_of<float>(values);
  const nb::gil_scoped_release released;
  if (each) {
    source->log_q_each(ids_of(users), ids_of(items), out, reinterpret_cast<device_stream>(stream));
  } else {
    source->log_q(ids_of(users), ids_of(items), out, reinterpret_cast<device_stream>(stream));
  }
}

void check(const device_negatives& source, std::uintptr_t stream) {
  const nb::gil_scoped_release released;
  source->check(reinterpret_cast<device_stream>(stream));
}

}  // namespace

void bind_device_negatives(nb::module_& module) {
  nb::class_<device_negatives>(module, "DeviceNegatives")
      .def_prop_ro("description", [](const device_negatives& source) { return source->description(); })
      .def("sample", &sample, nb::arg("users").none(), nb::arg("out"), nb::kw_only(), nb::arg("negatives"),
           nb::arg("at") = 0, nb::arg("offset") = 0, nb::arg("device_at") = 0, nb::arg("device_offset") = 0,
           nb::arg("distinct") = false, nb::arg("excluded") = nb::none(), nb::arg("stream"))
      .def("contains", &contains, nb::arg("users"), nb::arg("items"), nb::arg("found"), nb::kw_only(), nb::arg("each"),
           nb::arg("stream"))
      .def("log_q", &log_q, nb::arg("users"), nb::arg("items"), nb::arg("values"), nb::kw_only(), nb::arg("each"),
           nb::arg("stream"))
      .def("check", &check, nb::arg("stream"));
  module.def("device_negatives", &make, nb::arg("sampler"), nb::kw_only(), nb::arg("bitset_budget"),
             nb::arg("device"));
}

}  // namespace negpipe::python
