// RecordBatches and RecordReader: what negpipe.records is made of.
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <span>
#include <vector>

#include "bindings.hpp"
#include "negpipe/record_batches.hpp"
#include "negpipe/tfrecord.hpp"

namespace negpipe::python {

namespace {

nb::bytes bytes_of(std::span<const std::byte> content) { return nb::bytes(content.data(), content.size()); }

/// The values of each column of the next batch, as bytes; None after the last.
nb::object next_batch(record_batch_reader& reader) {
  std::vector<std::span<const std::byte>> values;
  bool found = false;
  {
    const nb::gil_scoped_release released;
    found = reader.next(values);
  }
  if (!found) return nb::none();
  nb::list columns;
  for (const auto& column : values) columns.append(bytes_of(column));
  return columns;
}

nb::object next_payload(record_reader& reader) {
  std::span<const std::byte> payload;
  bool found = false;
  {
    const nb::gil_scoped_release released;
    found = reader.next(payload);
  }
  if (!found) return nb::none();
  return bytes_of(payload);
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
  nb::class_<record_batch_reader>(module, "RecordBatchReader")
      .def(nb::init<const record_batches&, std::size_t>(), nb::arg("batches"), nb::arg("file"))
      .def("next", &next_batch, "The bytes of each column of the next batch, or None after the last one.");
  nb::class_<record_reader>(module, "RecordReader")
      .def(
          "__init__",
          [](record_reader* self, const std::filesystem::path& path, bool compressed, std::uint64_t max_payload_bytes) {
            new (self) record_reader(path, compressed ? compression_type::gzip : compression_type::none,
                                     max_payload_bytes);
          },
          nb::arg("path"), nb::arg("compressed"), nb::arg("max_payload_bytes"))
      .def("next", &next_payload, "The payload of the next record, or None after the last one.");
  module.def("parse_example", &features_of, nb::arg("payload"));
}

}  // namespace negpipe::python
