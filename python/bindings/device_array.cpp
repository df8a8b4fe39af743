#include "device_array.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "arrays.hpp"

namespace negpipe::python {

namespace {

using namespace nb::literals;

constexpr std::int64_t legacy_default_stream = 1;  // in both protocols; also cudaStreamLegacy

/// Type codes of the array interface, in the order of column_type.
constexpr std::array type_codes{"|b1", "|i1", "<u2", "<i4", "<i8", "<f4"};

[[noreturn]] void refuse(const std::string& message) { throw nb::buffer_error(message.c_str()); }

bool is_given(const nb::object& value) { return !value.is_none(); }

}  // namespace

nb::dict device_array::cuda_array_interface() const {
  // The reader's stream is unknown. CuPy and Numba read on the legacy default stream unless they are told otherwise.
  block_.lend_to(reinterpret_cast<device_stream>(legacy_default_stream));
  nb::dict interface;
  interface["shape"] = shape_of(column_);
  interface["typestr"] = type_codes[static_cast<std::size_t>(column_.type)];
  interface["data"] = nb::make_tuple(reinterpret_cast<std::uintptr_t>(data()), false);
  interface["strides"] = nb::none();
  interface["stream"] = reinterpret_cast<std::uintptr_t>(pool_.stream());
  interface["version"] = 3;
  return interface;
}

nb::object device_array::dlpack(const nb::object& stream, const nb::object& max_version, const nb::object& dl_device,
                                const nb::object& copy) const {
  if (is_given(dl_device)) {
    const auto [type, number] = nb::cast<std::pair<int, int>>(dl_device);
    if (type == nb::device::cpu::value) {
      return array(nb::none(), copy).attr("__dlpack__")("max_version"_a = max_version);
    }
    if (type != nb::device::cuda::value || number != device()) {
      refuse("the array is on cuda:" + std::to_string(device()) + "; copy it to another device there");
    }
  }
  if (is_given(copy) && nb::cast<bool>(copy)) refuse("copy=True: this array can only be shared, or copied to the host");
  const std::int64_t reader = is_given(stream) ? nb::cast<std::int64_t>(stream) : legacy_default_stream;
  if (reader == 0 || reader < -1) {
    throw nb::value_error("stream: expected -1 (no wait), 1 (legacy default), 2 (per-thread default) or a handle");
  }
  if (reader != -1) {
    const nb::gil_scoped_release released;
    block_.lend_to(reinterpret_cast<device_stream>(reader));
  }
  const nb::capsule owner(new device_block(block_),
                          [](void* held) noexcept { delete static_cast<device_block*>(held); });
  const nb::object shared = nb::cast(nb::ndarray<nb::array_api>(data(), column_.shape.size(), column_.shape.data(),
                                                                owner, nullptr, dtype_of(column_.type),
                                                                nb::device::cuda::value, device()));
  return shared.attr("__dlpack__")("max_version"_a = max_version);
}

nb::object device_array::array(const nb::object& dtype, const nb::object& copy) const {
  if (is_given(copy) && !nb::cast<bool>(copy)) {
    throw nb::value_error("copy=False: the array is in device memory, and NumPy needs a copy in host memory");
  }
  auto memory = std::make_unique<std::byte[]>(column_.bytes());
  {
    const nb::gil_scoped_release released;
    block_.download(offset_, {memory.get(), column_.bytes()});
  }
  const nb::capsule owner(memory.get(), [](void* held) noexcept { delete[] static_cast<std::byte*>(held); });
  void* values = memory.release();
  const nb::object made = nb::cast(nb::ndarray<nb::numpy>(values, column_.shape.size(), column_.shape.data(), owner,
                                                          nullptr, dtype_of(column_.type)));
  return is_given(dtype) ? nb::object(made.attr("astype")(dtype)) : made;
}

void bind_device_array(nb::module_& module) {
  nb::class_<device_array>(module, "DeviceArray",
                           "A column of a batch in CUDA memory. Give it to a framework: torch.from_dlpack, "
                           "jax.dlpack.from_dlpack, cupy.from_dlpack. numpy.asarray copies it to host memory.\n\n"
                           "Its memory is used again after the work that was queued, until it is dropped, to the "
                           "streams it was exported to.")
      .def_prop_ro("shape", [](const device_array& array) { return shape_of(array.shape()); })
      .def_prop_ro("dtype", [](const device_array& array) {
        return nb::module_::import_("numpy").attr("dtype")(name_of(array.shape().type));
      })
      .def_prop_ro("device", [](const device_array& array) { return "cuda:" + std::to_string(array.device()); })
      .def_prop_ro("__cuda_array_interface__", &device_array::cuda_array_interface)
      .def("__dlpack_device__",
           [](const device_array& array) { return nb::make_tuple(int{nb::device::cuda::value}, array.device()); })
      .def("__dlpack__", &device_array::dlpack, nb::kw_only(), nb::arg("stream").none() = nb::none(),
           nb::arg("max_version").none() = nb::none(), nb::arg("dl_device").none() = nb::none(),
           nb::arg("copy").none() = nb::none())
      .def("__array__", &device_array::array, nb::arg("dtype").none() = nb::none(), nb::kw_only(),
           nb::arg("copy").none() = nb::none())
      .def("__len__", [](const device_array& array) { return array.shape().shape[0]; })
      .def("__repr__", [](const device_array& array) {
        const std::string shape = nb::cast<std::string>(nb::str(shape_of(array.shape())));
        return "DeviceArray(" + shape + ", " + name_of(array.shape().type) + ", cuda:" +
               std::to_string(array.device()) + ")";
      });
}

}  // namespace negpipe::python
