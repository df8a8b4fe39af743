// RecordBatches and RecordReader: what negpipe.records is made of.
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "negpipe/record_batches.hpp"
#include "negpipe/tfrecord.hpp"

namespace negpipe::python {

namespace {

using shared_memory = std::shared_ptr<const std::byte[]>;

/// Keeps memory alive as long as an array over it.
nb::capsule owner_of(shared_memory memory) {
  return {new shared_memory(std::move(memory)), [](void* held) noexcept { delete static_cast<shared_memory*>(held); }};
}

/// A read-only NumPy array.
template <typename T>
nb::object array_over(std::span<const std::byte> values, const std::vector<std::size_t>& shape,
                      const nb::capsule& owner) {
  return nb::cast(nb::ndarray<nb::numpy, const T>(values.data(), shape.size(), shape.data(), owner));
}

nb::object array_over(std::span<const std::byte> values, const record_column& column, const nb::capsule& owner) {
  const std::vector<std::size_t> shape(column.shape.begin(), column.shape.end());
  switch (column.value_bytes) {
    case 4: return array_over<std::int32_t>(values, shape, owner);
    case 2: return array_over<std::uint16_t>(values, shape, owner);
    default: return array_over<std::int8_t>(values, shape, owner);
  }
}

/// Reads the batches of a file as arrays.
class batch_array_reader {
 public:
  batch_array_reader(const record_batches& batches, std::size_t file) : batches_(batches), reader_(batches, file) {}

  /// A list with an array for each column of the next batch, without a copy; None after the last.
  nb::object next() {
    std::vector<std::span<const std::byte>> values;
    bool found = false;
    {
      const nb::gil_scoped_release released;
      found = reader_.next(values);
    }
    if (!found) return nb::none();
    const nb::capsule owner = owner_of(reader_.share());
    nb::list arrays;
    for (std::size_t i = 0; i < values.size(); ++i) {
      arrays.append(array_over(values[i], batches_.columns()[i], owner));
    }
    return arrays;
  }

 private:
  record_batches batches_;
  record_batch_reader reader_;
};

/// An array of bytes, without a copy; None after the last.
nb::object next_payload(record_reader& reader) {
  std::span<const std::byte> payload;
  bool found = false;
  {
    const nb::gil_scoped_release released;
    found = reader.next(payload);
  }
  if (!found) return nb::none();
  return array_over<std::uint8_t>(payload, {payload.size()}, owner_of(reader.share()));
}

/// (name, offset, length) of each feature, in the order of the payload.
nb::list features_of(const nb::bytes& payload) {
  const std::span all(static_cast<const std::byte*>(payload.data()), payload.size());
  nb::list features;
  for (const feature& one : parse_example(all)) {
    PyObject* name = PyUnicode_DecodeUTF8(one.name.data(), static_cast<Py_ssize_t>(one.name.size()), "strict");
    if (name == nullptr) {
      PyErr_Clear();
      throw format_error("the name of a feature is not UTF-8");
    }
    features.append(nb::make_tuple(nb::steal(name), one.bytes.data() - all.data(), one.bytes.size()));
  }
  return features;
}

/// (name, dtype, shape) of each column.
nb::list columns_of(const record_batches& batches) {
  nb::list columns;
  for (const record_column& column : batches.columns()) {
    const char* dtype = column.value_bytes == 4 ? "<i4" : column.value_bytes == 2 ? "<u2" : "i1";
    nb::list shape;
    for (const std::uint64_t size : column.shape) shape.append(size);
    columns.append(nb::make_tuple(column.name, dtype, nb::tuple(shape)));
  }
  return columns;
}

}  // namespace

void bind_records(nb::module_& module) {
  nb::class_<record_batches>(module, "RecordBatches")
      .def(nb::init<const std::filesystem::path&>(), nb::arg("folder"))
      .def_prop_ro("ready_json", [](const record_batches& batches) { return nb::bytes(batches.ready_json().data(),
                                                                                       batches.ready_json().size()); })
      .def_prop_ro("is_training", &record_batches::is_training)
      .def_prop_ro("batch_size", &record_batches::batch_size)
      .def_prop_ro("batch_count", &record_batches::batch_count)
      .def_prop_ro("compressed",
                   [](const record_batches& batches) { return batches.compression() == compression_type::gzip; })
      .def_prop_ro("columns", &columns_of)
      .def_prop_ro("files", &record_batches::files)
      .def("check_files", &record_batches::check_files);
  nb::class_<batch_array_reader>(module, "RecordBatchReader")
      .def(nb::init<const record_batches&, std::size_t>(), nb::arg("batches"), nb::arg("file"))
      .def("next", &batch_array_reader::next, "An array for each column of the next batch; None after the last one.");
  nb::class_<record_reader>(module, "RecordReader")
      .def(
          "__init__",
          [](record_reader* self, const std::filesystem::path& path, bool compressed, std::uint64_t max_payload_bytes) {
            new (self) record_reader(path, compressed ? compression_type::gzip : compression_type::none,
                                     max_payload_bytes);
          },
          nb::arg("path"), nb::arg("compressed"), nb::arg("max_payload_bytes"))
      .def("next", &next_payload, "The payload of the next record as uint8, or None after the last one.");
  module.def("parse_example", &features_of, nb::arg("payload"));
}

}  // namespace negpipe::python
