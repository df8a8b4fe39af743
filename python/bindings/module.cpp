// The extension module negpipe._native. The Python sources beside it are the interface; nothing here is public.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/version.hpp"

namespace negpipe::python {

namespace {

/// (name, available, reason) of each kind of backend, best first.
nb::list backends() {
  nb::list found;
  for (const backend_status& status : list_backends()) {
    found.append(nb::make_tuple(nb::str(status.name.data(), status.name.size()), status.available, status.reason));
  }
  return found;
}

}  // namespace

}  // namespace negpipe::python

NB_MODULE(_native, module) {
  using namespace negpipe::python;
  module.attr("__version__") = negpipe::library_version;
  module.attr("stream_version") = negpipe::stream_version;
  module.attr("max_shards") = negpipe::max_shards;
  module.def("backends", &backends, "(name, available, reason if not) of each kind of backend, best first.");
  bind_errors();
  bind_dataset(module);
  bind_loader(module);
  bind_device(module);
  bind_ranking(module);
  bind_negatives(module);
  bind_records(module);
  bind_device_negatives(module);
}
